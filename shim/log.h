// The shim's own log: spdlog on stderr, level from LAMPLIGHT_LOG, never on a hot path.
#pragma once

#include <spdlog/logger.h>

#include <string>

namespace lamplight::shim {

// Safe from any thread but a signal handler; never throws.
spdlog::logger& Log() noexcept;
void SetLogLevel(const std::string& level) noexcept;
// In a forked child: another thread may have been in the middle of a line, for ever then.
void RenewLog() noexcept;

}  // namespace lamplight::shim
