// One logger, made at first use and never destroyed: hooks may run while the process exits.
#include "shim/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace lamplight::shim {

spdlog::logger& Log() noexcept {
  static spdlog::logger* logger = [] {
    auto* made = new spdlog::logger("lamplight", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("lamplight[%P]: %v");
    made->set_level(spdlog::level::warn);
    made->set_error_handler([](const std::string&) {});
    return made;
  }();
  return *logger;
}

void SetLogLevel(const std::string& level) noexcept {
  Log().set_level(spdlog::level::from_str(level));
}

}  // namespace lamplight::shim
