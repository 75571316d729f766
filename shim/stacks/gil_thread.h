// A thread of ours that asks for Python's GIL and does one thing under it.
//
// Nobody can call such a thread off again, and CPython 3.10 crashes where one still asks while the
// process ends. So Python's main thread lets all of them in before its interpreter ends.
#pragma once

namespace lamplight::stacks {

// All since CPython 3.2. Plain function pointers.
struct GilApi {
  int (*ensure)() = nullptr;
  void (*release)(int) = nullptr;
  // The main thread runs the function under the GIL soon, at latest before its interpreter ends
  // (since 3.8). Any thread may call, with the GIL or without it.
  int (*add_pending_call)(int (*function)(void*), void* argument) = nullptr;
  // Gives the caller's GIL away and gets it back.
  void* (*save_thread)() = nullptr;
  void (*restore_thread)(void*) = nullptr;
};

// Calls body(argument) on another thread as soon as that has the GIL, which may be never. False: no
// thread could be started, and the body will not be called. Any thread may call; returns at once.
bool StartUnderGil(const GilApi& api, void (*body)(void*), void* argument) noexcept;

}  // namespace lamplight::stacks
