// One logger, made at first use and never destroyed: hooks may run while the process exits.
#include "shim/log.h"

#include <signal.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <string>

#include "shim/no_cancel.h"

namespace lamplight::shim {
namespace {

std::atomic<spdlog::logger*> logger{nullptr};
std::atomic<spdlog::level::level_enum> level{spdlog::level::warn};

// A line for a pipe that nobody reads any more, as behind `server 2>&1 | head`, must not end a host
// that would have written nothing: the signal stays away from this thread, and is taken.
class NoPipeSignal {
 public:
  NoPipeSignal() noexcept {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &saved_);
  }
  ~NoPipeSignal() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;

  // After a write that has raised it. One that was pending already is the host's.
  void Take() const noexcept {
    constexpr timespec kNow{0, 0};
    while (!was_pending_ && sigtimedwait(&pipe_, nullptr, &kNow) < 0 && errno == EINTR) continue;
  }

 private:
  sigset_t pipe_;
  sigset_t saved_;
  bool was_pending_ = false;
};

// With a lock of its own: that of spdlog's cannot be renewed. A line is one call, so that the lines
// of several processes stay whole.
class Stderr final : public spdlog::sinks::base_sink<std::mutex> {
 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    const char* next = line.data();
    const char* const end = next + line.size();
    const NoPipeSignal no_signal;
    while (next < end) {
      const ssize_t written = write(STDERR_FILENO, next, static_cast<size_t>(end - next));
      if (written < 0 && errno == EPIPE) return no_signal.Take();
      if (written < 0 && errno != EINTR) return;
      next += written < 0 ? 0 : written;
    }
  }
  void flush_() override {}
};

spdlog::logger* Make() {
  auto made = std::make_unique<spdlog::logger>("lamplight", std::make_shared<Stderr>());
  made->set_pattern("lamplight[%P]: %v");
  made->set_level(level.load());
  made->set_error_handler([](const std::string&) {});
  spdlog::logger* known = nullptr;
  return logger.compare_exchange_strong(known, made.get()) ? made.release() : known;
}

spdlog::logger& Log() noexcept {
  spdlog::logger* known = logger.load(std::memory_order_acquire);
  return known != nullptr ? *known : *Make();
}

spdlog::level::level_enum Of(LogLevel wanted) {
  switch (wanted) {
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

}  // namespace

void LogLine(LogLevel level, fmt::string_view format, fmt::format_args values) noexcept try {
  spdlog::logger& log = Log();
  if (!log.should_log(Of(level))) return;
  const NoCancel no_cancel;
  const std::string line = fmt::vformat(format, values);
  log.log(Of(level), spdlog::string_view_t(line));
} catch (...) {
  // Out of memory: without the line.
}

void SetLogLevel(LogLevel wanted) noexcept {
  level = Of(wanted);
  Log().set_level(level);
}

void RenewLog() noexcept { logger.store(nullptr, std::memory_order_release); }

}  // namespace lamplight::shim
