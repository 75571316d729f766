// Contexts: each device's primary one, green ones that stand in it and share its memory, ordinary
// ones beside it with memory of their own.
//
// Thread-safe. Objects live for ever, as work in flight and threads refer to them; a context that
// was destroyed is no longer found. Green contexts do not limit where kernels run.
#pragma once

#include <cuda.h>

#include <atomic>
#include <mutex>

#include "tests/device_sim/status.h"
#include "tests/device_sim/stream.h"

namespace device_sim {

struct Device;

class Context {
 public:
  enum class Kind { kPrimary, kGreen, kOrdinary };

  // `processors`: multiprocessors that it has, if it is green.
  Context(Device& device, Kind kind, unsigned processors);

  Device& device() const { return device_; }
  Kind kind() const { return kind_; }
  unsigned processors() const { return processors_; }
  bool green() const { return kind_ == Kind::kGreen; }
  uint64_t id() const { return id_; }
  CUcontext handle() { return reinterpret_cast<CUcontext>(this); }
  // Another value: what takes one handle does not take the other.
  CUgreenCtx green_handle() {
    return green() ? reinterpret_cast<CUgreenCtx>(reinterpret_cast<char*>(this) + 1) : nullptr;
  }
  // Whether the handle is good: a green context's is not before cuCtxFromGreenCtx has given it away
  // (seen with driver 580), although nodes name it.
  bool named() const { return !green() || named_.load(); }
  void GiveName() { named_.store(true); }
  // The context whose memory kernels see here.
  Context& memory();
  // Handle 0's stream. Only the primary context's waits for others.
  StreamRef null_stream();

 private:
  Device& device_;
  const Kind kind_;
  const unsigned processors_;
  const uint64_t id_;
  std::atomic<bool> named_{false};
  std::mutex mutex_;
  StreamRef null_stream_;
};

Context* CreateContext(Device& device, Context::Kind kind, unsigned processors = 0);
// Null where no such context is live.
Context* FindContext(CUcontext handle);
Context* FindGreenContext(CUgreenCtx handle);
void ForgetContext(Context* context);

// The thread's current context; null: none.
Context* CurrentContext();
void SetCurrentContext(Context* context);
Status PushCurrentContext(Context* context);
Status PopCurrentContext(CUcontext* popped);

}  // namespace device_sim
