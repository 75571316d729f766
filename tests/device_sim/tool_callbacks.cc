// Thread-safe: the subscriber is changed under a lock and read through an atomic.
#include "tests/device_sim/tool_callbacks.h"

#include <dlfcn.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "tests/device_sim/config.h"
#include "tests/device_sim/device.h"

namespace device_sim {
namespace {

struct Subscription {
  cupti::Callback callback;
  void* user;
};

std::mutex mutex;
std::atomic<Subscription*> subscription{nullptr};  // never freed: a call may be telling it
std::array<std::atomic<bool>, cupti::kIds> enabled{};
std::atomic<uint32_t> correlations{0};

cupti::Subscriber HandleOf(Subscription* of) { return reinterpret_cast<cupti::Subscriber>(of); }

}  // namespace

cupti::Result Subscribe(cupti::Subscriber* out, cupti::Callback callback, void* user) {
  if (out == nullptr || callback == nullptr) return cupti::kInvalidParameter;
  const std::lock_guard lock(mutex);
  const auto& config = TheConfig();
  if (subscription != nullptr || (config && config->cupti_taken)) {
    return cupti::kMultipleSubscribers;
  }
  subscription = new Subscription{callback, user};
  *out = HandleOf(subscription);
  return cupti::kSuccess;
}

cupti::Result Unsubscribe(cupti::Subscriber subscriber) {
  const std::lock_guard lock(mutex);
  if (subscriber == nullptr || HandleOf(subscription) != subscriber) {
    return cupti::kInvalidParameter;
  }
  subscription = nullptr;
  for (auto& one : enabled) one = false;
  return cupti::kSuccess;
}

cupti::Result EnableCallback(bool enable, cupti::Subscriber subscriber, int domain, uint32_t id) {
  const std::lock_guard lock(mutex);
  const bool known = subscriber != nullptr && HandleOf(subscription) == subscriber;
  if (!known || domain != cupti::kDriverApi || id == 0 || id >= enabled.size()) {
    return cupti::kInvalidParameter;
  }
  enabled[id] = enable;
  return cupti::kSuccess;
}

void InjectTool() {
  const char* path = std::getenv("CUDA_INJECTION64_PATH");
  if (path == nullptr || *path == '\0') return;
  void* library = dlopen(path, RTLD_LAZY);
  if (library == nullptr) return;
  auto* start = reinterpret_cast<int (*)()>(dlsym(library, "InitializeInjection"));
  if (start != nullptr) start();
}

ToldCall::ToldCall(uint32_t id, const char* name, const void* parameters) : id_(id) {
  if (subscription.load(std::memory_order_acquire) == nullptr || !enabled[id]) [[likely]]
    return;
  Context* context = CurrentContext();
  told_ = true;
  data_.function_name = name;
  data_.parameters = parameters;
  data_.context = context == nullptr ? nullptr : context->handle();
  data_.shared = &shared_;
  data_.correlation = ++correlations;
  Tell(cupti::kEnter);
}

CUresult ToldCall::Exit(CUresult status) {
  if (!told_) [[likely]]
    return status;
  data_.return_value = &status;
  Tell(cupti::kExit);
  return status;
}

void ToldCall::Tell(cupti::Site site) {
  const Subscription* to = subscription.load(std::memory_order_acquire);
  if (to == nullptr) return;
  data_.site = site;
  to->callback(to->user, cupti::kDriverApi, id_, &data_);
}

}  // namespace device_sim
