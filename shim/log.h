// The shim's own log: spdlog on stderr, level from LAMPLIGHT_LOG, never on a hot path.
//
// spdlog itself stays in log.cc: its headers, and those of all of fmt, take ten seconds to compile.
#pragma once

#include <fmt/core.h>

namespace lamplight::shim {

enum class LogLevel { kInfo, kWarning, kError };

// Writes one line. Safe from any thread but a signal handler; never throws.
void LogLine(LogLevel level, fmt::string_view format, fmt::format_args values) noexcept;

template <class... Values>
void LogInfo(fmt::format_string<Values...> format, Values&&... values) noexcept {
  LogLine(LogLevel::kInfo, format, fmt::make_format_args(values...));
}

template <class... Values>
void LogWarning(fmt::format_string<Values...> format, Values&&... values) noexcept {
  LogLine(LogLevel::kWarning, format, fmt::make_format_args(values...));
}

template <class... Values>
void LogError(fmt::format_string<Values...> format, Values&&... values) noexcept {
  LogLine(LogLevel::kError, format, fmt::make_format_args(values...));
}

void SetLogLevel(LogLevel level) noexcept;
// In a forked child: another thread may have been in the middle of a line, for ever then.
void RenewLog() noexcept;

}  // namespace lamplight::shim
