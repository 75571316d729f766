// Runs a function that may crash or hang on this process's memory, at no risk to the process.
//
// The function runs in a child that shares the memory but not the signal handlers: a fault ends the
// child only. The caller waits, bounded. Any thread.
#pragma once

#include <chrono>

namespace lamplight::stacks {

enum class GuardedResult { kDone, kCrashed, kTimedOut, kNotStarted };

// `function` must be async-signal-safe: it runs on a small stack of its own, next to the caller's
// thread-local storage, while other threads go on.
GuardedResult CallGuarded(void (*function)(void*), void* argument,
                          std::chrono::milliseconds limit) noexcept;

}  // namespace lamplight::stacks
