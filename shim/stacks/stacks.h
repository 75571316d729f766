// Native stacks of this process's threads, without ptrace.
//
// Prepare once, before anything else. CaptureHere may then be called by any thread at any time but
// not from a signal handler; CaptureAllThreads by one thread at a time (later callers wait).
// Nothing here throws; errno is preserved. A thread that is asked for its stack sees one handled
// signal: its interruptible system call may end with EINTR.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lamplight::stacks {

inline constexpr size_t kMaxFrames = 64;

// Loads the unwinder and picks a free real-time signal. `beside` is an address inside the library
// whose folder is searched for libunwind first; null: only the system's. Idempotent and
// thread-safe.
void Prepare(const void* beside) noexcept;

// "libunwind" or "libgcc"; null before Prepare.
const char* Unwinder() noexcept;

// The calling thread's return addresses, innermost first, without the `skip` innermost (0: the
// caller of CaptureHere comes first). Returns how many.
size_t CaptureHere(uintptr_t* pcs, size_t max, size_t skip) noexcept;

struct ThreadStack {
  pid_t tid = 0;
  std::string name;
  bool answered = false;  // false: the signal is blocked, or the time was up
  std::vector<uintptr_t> pcs;
};

// All threads but the shim's own ("lamplight-…") and the caller. Takes at most about `per_thread`
// for each thread that does not answer.
std::vector<ThreadStack> CaptureAllThreads(std::chrono::milliseconds per_thread) noexcept;

struct Symbol {
  std::string module;          // path, empty: not in any loaded file
  uint64_t module_offset = 0;  // from the module's load address
  std::string symbol;          // mangled, empty: unknown
  uint64_t symbol_offset = 0;
};

// Names a code address. Takes the loader's lock: off the hot path only.
Symbol Symbolise(uintptr_t pc) noexcept;

}  // namespace lamplight::stacks
