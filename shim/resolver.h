// Finds the real functions behind the hooks: the runtime's by name, the driver's as a table.
//
// Thread-safe. Resolution is lazy, so that a process that never uses CUDA loads nothing.
#pragma once

#include <atomic>

namespace lamplight::shim {

// Address of `name` in the CUDA runtime that the process loaded (never in the shim); null if none.
void* ResolveRuntime(const char* name) noexcept;
// Address of `name` in libcuda.so.1, loading it if the process has not; null if none.
void* ResolveDriver(const char* name) noexcept;
// The same, null where the process has not loaded it.
void* ResolveLoadedDriver(const char* name) noexcept;

// A real runtime function, resolved at its first use. Constant-initialised.
template <class F>
class RealFunction {
 public:
  explicit constexpr RealFunction(const char* name) : name_(name) {}
  // For benchmarks: stands for `function` itself.
  constexpr RealFunction(const char* name, F function) : name_(name), cached_(function) {}

  F get() noexcept {
    F function = cached_.load(std::memory_order_acquire);
    if (function == nullptr) [[unlikely]] {
      function = reinterpret_cast<F>(ResolveRuntime(name_));
      cached_.store(function, std::memory_order_release);
    }
    return function;
  }
  const char* name() const { return name_; }

 private:
  const char* name_;
  std::atomic<F> cached_{nullptr};
};

}  // namespace lamplight::shim
