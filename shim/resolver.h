// Finds the real functions behind the hooks: the runtime's by name, the driver's as a table.
//
// Thread-safe. Resolution is lazy, so that a process that never uses CUDA loads nothing. A process
// may have several runtimes, as where an engine's wheel brings one of its own: each call goes to
// the one that its caller is linked to, which a table tells, by return address.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace lamplight::shim {

// One of the process's runtimes, by number. 0: the first, also for code that is linked to none.
using Runtime = uint32_t;
inline constexpr Runtime kMostRuntimes = 4;

// Address of `name` in the CUDA runtime that the process loaded (never in the shim); null if none.
void* ResolveRuntime(const char* name, Runtime runtime = 0) noexcept;
// Address of `name` in libcuda.so.1, loading it if the process has not; null if none.
void* ResolveDriver(const char* name) noexcept;
// The same, null where the process has not loaded it.
void* ResolveLoadedDriver(const char* name) noexcept;

// The runtimes of callers that have been seen, by hash. An entry is a return address with the
// runtime in its top bits.
struct CallerTable {
  static constexpr size_t kBits = 13;
  static constexpr int kRuntimeShift = 62;
  static size_t Slot(uintptr_t caller) noexcept {
    return (caller * 0x9e3779b97f4a7c15ull) >> (64 - kBits);
  }
  std::array<std::atomic<uint64_t>, size_t{1} << kBits> entries{};
};
inline constinit CallerTable caller_table{};

// The slow half of RuntimeOf.
Runtime LearnRuntimeOf(const void* caller) noexcept;

// The runtime of the code that `caller` is an address of.
inline Runtime RuntimeOf(const void* caller) noexcept {
  constexpr uint64_t kAddress = (uint64_t{1} << CallerTable::kRuntimeShift) - 1;
  const auto address = reinterpret_cast<uintptr_t>(caller);
  const uint64_t entry =
      caller_table.entries[CallerTable::Slot(address)].load(std::memory_order_relaxed);
  if ((entry & kAddress) == address) [[likely]]
    return static_cast<Runtime>(entry >> CallerTable::kRuntimeShift);
  return LearnRuntimeOf(caller);
}

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
      function = reinterpret_cast<F>(ResolveRuntime(name_, runtime_));
      cached_.store(function, std::memory_order_release);
    }
    return function;
  }
  const char* name() const { return name_; }
  Runtime runtime() const { return runtime_; }

 private:
  template <class>
  friend class RealFunctions;
  constexpr RealFunction(const char* name, Runtime runtime) : name_(name), runtime_(runtime) {}

  const char* name_;
  Runtime runtime_ = 0;
  std::atomic<F> cached_{nullptr};
};

// The same function of every runtime.
template <class F>
class RealFunctions {
 public:
  explicit constexpr RealFunctions(const char* name)
      : of_{RealFunction<F>(name, Runtime{0}), RealFunction<F>(name, Runtime{1}),
            RealFunction<F>(name, Runtime{2}), RealFunction<F>(name, Runtime{3})} {}

  RealFunction<F>& Of(Runtime runtime) noexcept { return of_[runtime]; }
  // `caller`: an address in the code that calls.
  RealFunction<F>& For(const void* caller) noexcept { return of_[RuntimeOf(caller)]; }

 private:
  RealFunction<F> of_[kMostRuntimes];
};

}  // namespace lamplight::shim
