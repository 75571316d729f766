// The dynamic linker's dlsym, in front of which the shim stands: the one way by which a statically
// linked CUDA runtime comes to the driver.
//
// dlsym looks at the address that it will return to, to know whose next library RTLD_NEXT means. So
// the entry jumps to the real one and is not seen by it. Thread-safe.
#include <dlfcn.h>

#include <atomic>

#include "shim/driver/clients.h"

namespace {

using lamplight::shim::driver::Dlsym;

// The next one behind the shim: libc's, or that of another tool that stands in front of it.
Dlsym Real() noexcept {
  static constinit std::atomic<Dlsym> cached{nullptr};
  Dlsym real = cached.load(std::memory_order_acquire);
  if (real != nullptr) return real;
  // On x86-64 it has this version in every glibc, in libc or, before 2.34, in libdl.
  real = reinterpret_cast<Dlsym>(dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5"));
  if (auto next = reinterpret_cast<Dlsym>(real(RTLD_NEXT, "dlsym"))) real = next;
  cached.store(real, std::memory_order_release);
  return real;
}

void* AnswerClient(void* handle, const char* name) noexcept {
  return lamplight::shim::driver::Answer(Real(), handle, name, __builtin_return_address(0));
}

}  // namespace

// Where the entry is to jump to; `caller` is what it will return to.
extern "C" __attribute__((visibility("hidden"), used)) void* LamplightDlsymTarget(
    void* handle, const char* name, const void* caller) noexcept {
  const auto wish = lamplight::shim::driver::Wish::OfProcess();
  const bool client = lamplight::shim::driver::IsClients(wish, name, handle, caller);
  return reinterpret_cast<void*>(client ? &AnswerClient : Real());
}

// clang-format off
asm(R"(
  .pushsection .text
  .globl dlsym
  .type dlsym, @function
dlsym:
  .cfi_startproc
  endbr64
  pushq %rdi
  .cfi_adjust_cfa_offset 8
  pushq %rsi
  .cfi_adjust_cfa_offset 8
  movq 16(%rsp), %rdx
  subq $8, %rsp
  .cfi_adjust_cfa_offset 8
  call LamplightDlsymTarget
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  popq %rsi
  .cfi_adjust_cfa_offset -8
  popq %rdi
  .cfi_adjust_cfa_offset -8
  jmpq *%rax
  .cfi_endproc
  .size dlsym, . - dlsym
  .popsection
)");
// clang-format on
