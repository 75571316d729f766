// One subscription for the life of the process.
#include "shim/cupti/source.h"

#include <dlfcn.h>

#include <atomic>
#include <climits>
#include <cstdlib>
#include <mutex>
#include <string_view>

#include "shim/config.h"
#include "shim/cupti/callbacks.h"
#include "shim/cupti/library.h"
#include "shim/cupti/static_runtime.h"
#include "shim/driver/clients.h"
#include "shim/driver/fronts.h"
#include "shim/hooks/guard.h"
#include "shim/log.h"
#include "shim/recorder/record_builder.h"
#include "shim/resolver.h"

namespace lamplight::shim::cupti {
namespace {

constexpr char kInjection[] = "CUDA_INJECTION64_PATH";

struct Attempt {
  bool tried = false;
  Library library;
  std::string why_not;  // empty: in force
};

std::mutex& Lock() {
  static auto* mutex = new std::mutex();
  return *mutex;
}

Attempt& TheAttempt() {
  static auto* attempt = new Attempt();
  return *attempt;
}

std::atomic<bool> in_force{false};

std::string OwnFile() {
  Dl_info found{};
  char path[PATH_MAX];
  if (dladdr(reinterpret_cast<const void*>(&AskForInjection), &found) == 0) return {};
  return realpath(found.dli_fname, path) == nullptr ? std::string() : path;
}

// Callbacks that this CUPTI does not know are of functions that its driver does not have, unless
// none of the whole set is there.
std::string EnableAll(const Library& library, abi::Subscriber subscriber) {
  for (const CallbackId& callback : CallbackIds()) {
    const abi::Result result = library.EnableCallback(1, subscriber, abi::kDriverApi, callback.id);
    if (result == abi::kSuccess || (!callback.needed && result == abi::kInvalidParameter)) continue;
    return "its callback " + std::to_string(callback.id) + " is refused (" + library.Name(result) +
           "); CUPTI of CUDA 12.0 or newer is needed";
  }
  return {};
}

std::string WhyRefused(const Library& library, abi::Result result) {
  std::string why = library.path + ": " + library.Name(result);
  if (result == abi::kMultipleSubscribers) {
    why += ": a profiler or debugger has CUPTI in this process; end it, or do without this source";
  }
  return why;
}

std::string Subscribe(const Library& library) {
  abi::Subscriber subscriber = nullptr;
  const abi::Result result = library.Subscribe(&subscriber, OnCallback, nullptr);
  if (result != abi::kSuccess) return WhyRefused(library, result);
  PrepareCallbacks();
  std::string refused = EnableAll(library, subscriber);
  if (refused.empty()) return {};
  library.Unsubscribe(subscriber);
  return library.path + ": " + refused;
}

void Try(const Wish& wish, Attempt* attempt) {
  attempt->tried = true;
  if (Load(wish.library, &attempt->library, &attempt->why_not)) {
    attempt->why_not = Subscribe(attempt->library);
  }
  in_force.store(attempt->why_not.empty(), std::memory_order_release);
  if (attempt->why_not.empty()) {
    LogInfo("CUPTI callbacks of the driver API through {}", attempt->library.path);
  } else {
    LogWarning("LAMPLIGHT_CUPTI: {}. Calls of the driver API are not seen", attempt->why_not);
  }
}

bool Wished(const Wish& wish, bool injected) {
  if (wish.kind == Wish::kOff || Config::Disabled()) return false;
  if (wish.kind == Wish::kOn) return true;
  if (!injected || driver::Given()) return false;
  if (ResolveRuntime("cudaGetDeviceCount") == nullptr) return true;
  return driver::Wish::FromEnvironment().kind == driver::Wish::kOff &&
         !LibraryWithStaticRuntime().empty();
}

}  // namespace

Wish Wish::FromEnvironment() {
  const char* value = std::getenv("LAMPLIGHT_CUPTI");
  const std::string_view text = value == nullptr ? "" : value;
  if (text.empty() || text == "0") return {};
  if (text == "1") return {kOn, {}, true};
  if (text == "auto") return {kAuto, {}, true};
  if (text.find('/') != std::string_view::npos) return {kOn, std::string(text), true};
  return {kOff, {}, false};
}

void AskForInjection() noexcept {
  Guarded([] {
    if (Config::Disabled() || Wish::FromEnvironment().kind == Wish::kOff) return;
    const std::string file = OwnFile();
    // Another tool's injection is left alone; the first hooked call then subscribes.
    if (!file.empty()) setenv(kInjection, file.c_str(), 0);
  });
}

void Start(bool injected) noexcept {
  Guarded([&] {
    const Wish wish = Wish::FromEnvironment();
    if (!Wished(wish, injected)) return;
    const std::lock_guard lock(Lock());
    if (!TheAttempt().tried) Try(wish, &TheAttempt());
  });
}

bool InForce() noexcept { return in_force.load(std::memory_order_acquire); }

void Define(Recorder& recorder) {
  const std::lock_guard lock(Lock());
  const Attempt& attempt = TheAttempt();
  if (!attempt.tried) return;
  const auto state =
      attempt.why_not.empty() ? trace::SourceState::kInForce : trace::SourceState::kUnavailable;
  RecordBuilder<trace::Source> builder(trace::RecordType::kSource);
  builder->state = static_cast<uint32_t>(state);
  builder->version = attempt.library.version;
  builder.SetString(&trace::Source::library, attempt.library.path);
  builder.SetString(&trace::Source::reason, attempt.why_not);
  recorder.Define(builder);
}

}  // namespace lamplight::shim::cupti
