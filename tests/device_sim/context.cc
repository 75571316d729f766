// Thread-safe: one table under a lock; the current contexts are each thread's own.
#include "tests/device_sim/context.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "tests/device_sim/device.h"

namespace device_sim {
namespace {

std::mutex table_mutex;

std::vector<Context*>& Live() {
  static auto& contexts = *new std::vector<Context*>;
  return contexts;
}

template <class Is>
Context* FindIf(Is is) {
  const std::lock_guard lock(table_mutex);
  const auto found = std::ranges::find_if(Live(), is);
  return found == Live().end() ? nullptr : *found;
}

uint64_t NextId() {
  static std::atomic<uint64_t> next{1};
  return next.fetch_add(1);
}

// Contexts of the thread, innermost last; null: none. Trivial, as static destructors of the host
// may still call in when the thread's other objects are gone.
struct ContextStack {
  static constexpr size_t kDepth = 64;
  Context* entries[kDepth];
  size_t top;
};
thread_local constinit ContextStack contexts{};

}  // namespace

Context::Context(Device& device, Kind kind, unsigned processors)
    : device_(device), kind_(kind), processors_(processors), id_(NextId()) {}

Context& Context::memory() { return green() ? device_.primary() : *this; }

StreamRef Context::null_stream() {
  if (kind_ == Kind::kPrimary) return device_.legacy_stream();
  const std::lock_guard lock(mutex_);
  if (null_stream_ == nullptr) {
    null_stream_ = std::make_shared<Stream>(*this, StreamKind::kNonBlocking, 0);
    device_.Register(null_stream_);
  }
  return null_stream_;
}

Context* CreateContext(Device& device, Context::Kind kind, unsigned processors) {
  auto* context = new Context(device, kind, processors);
  const std::lock_guard lock(table_mutex);
  Live().push_back(context);
  return context;
}

Context* FindContext(CUcontext handle) {
  return FindIf([&](Context* context) { return context->handle() == handle && context->named(); });
}

Context* FindGreenContext(CUgreenCtx handle) {
  if (handle == nullptr) return nullptr;
  return FindIf([&](Context* context) { return context->green_handle() == handle; });
}

void ForgetContext(Context* context) {
  const std::lock_guard lock(table_mutex);
  std::erase(Live(), context);
}

Context* CurrentContext() { return contexts.entries[contexts.top]; }

void SetCurrentContext(Context* context) { contexts.entries[contexts.top] = context; }

Status PushCurrentContext(Context* context) {
  if (contexts.top + 1 == ContextStack::kDepth) return CUDA_ERROR_OUT_OF_MEMORY;
  contexts.entries[++contexts.top] = context;
  return kOk;
}

Status PopCurrentContext(CUcontext* popped) {
  if (CurrentContext() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (popped != nullptr) *popped = CurrentContext()->handle();
  contexts.entries[contexts.top] = nullptr;
  if (contexts.top > 0) --contexts.top;
  return kOk;
}

}  // namespace device_sim
