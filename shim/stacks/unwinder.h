// Walks stacks of this process, by libunwind where it is installed and by libgcc elsewhere.
//
// Load once; afterwards the walks may run in any thread, FromSignal inside a signal handler.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

namespace lamplight::stacks {

// Looks for libunwind in the folder of the library that contains `beside`, then on the system's
// path. Debian's static libunwind is not position-independent, and a NEEDED entry would keep the
// shim from loading where libunwind is not installed: hence dlopen.
void LoadUnwinder(const void* beside) noexcept;

// "libunwind", "libgcc", or null before LoadUnwinder.
const char* UnwinderName() noexcept;

// The caller's return addresses, innermost first; the first one lies in the caller itself.
size_t UnwindHere(uintptr_t* pcs, size_t max) noexcept;

// The stack that a signal interrupted; `context` is the handler's third argument. Async-signal-safe
// as far as the unwinder is: it may take the dynamic loader's lock to find unwind tables.
size_t UnwindFromSignal(const ucontext_t& context, uintptr_t* pcs, size_t max) noexcept;

// Where the interrupted code was, without a walk.
uintptr_t InterruptedPc(const ucontext_t& context) noexcept;

}  // namespace lamplight::stacks
