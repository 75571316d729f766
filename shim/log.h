// The shim's own log: spdlog on stderr, level from LAMPLIGHT_LOG, never on a hot path.
#pragma once

#include <spdlog/logger.h>

#include <string>

namespace lamplight::shim {

// Safe from any thread but a signal handler; never throws.
spdlog::logger& Log() noexcept;
void SetLogLevel(const std::string& level) noexcept;

}  // namespace lamplight::shim
