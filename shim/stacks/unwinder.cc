// Function pointers into libunwind, published once; see the header for threads.
#include "shim/stacks/unwinder.h"

#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <libunwind.h>
#include <unwind.h>

#include <atomic>
#include <cstring>
#include <string>

namespace lamplight::stacks {
namespace {

#define LAMPLIGHT_TEXT(x) #x
#define LAMPLIGHT_SYMBOL(x) LAMPLIGHT_TEXT(x)

// libunwind's entry points carry the architecture in their names; its header maps them.
struct Libunwind {
  int (*backtrace)(void**, int);
  int (*init_local)(unw_cursor_t*, unw_context_t*, int);
  int (*step)(unw_cursor_t*);
  int (*get_register)(unw_cursor_t*, unw_regnum_t, unw_word_t*);
};

Libunwind functions;
std::atomic<const Libunwind*> libunwind{nullptr};
std::atomic<const char*> name{nullptr};

template <class F>
bool Find(void* library, const char* symbol, F* function) {
  *function = reinterpret_cast<F>(dlsym(library, symbol));
  return *function != nullptr;
}

bool FindAll(void* library) {
  return Find(library, "unw_backtrace", &functions.backtrace) &&
         Find(library, LAMPLIGHT_SYMBOL(unw_init_local2), &functions.init_local) &&
         Find(library, LAMPLIGHT_SYMBOL(unw_step), &functions.step) &&
         Find(library, LAMPLIGHT_SYMBOL(unw_get_reg), &functions.get_register);
}

constexpr char kLibrary[] = "libunwind.so.8";

void* OpenLibrary(const void* beside) {
  Dl_info where{};
  if (beside != nullptr && dladdr(beside, &where) != 0 && where.dli_fname != nullptr) {
    const std::string path = where.dli_fname;
    const size_t slash = path.rfind('/');
    if (slash != std::string::npos) {
      const std::string own = path.substr(0, slash + 1) + kLibrary;
      if (void* library = dlopen(own.c_str(), RTLD_LOCAL | RTLD_NOW)) return library;
    }
  }
  return dlopen(kLibrary, RTLD_LOCAL | RTLD_NOW);
}

struct Walk {
  uintptr_t* pcs;
  size_t max;
  size_t count = 0;
  uintptr_t from = 0;  // frames before this address are left out; 0: none
};

_Unwind_Reason_Code TakeFrame(_Unwind_Context* context, void* argument) {
  Walk& walk = *static_cast<Walk*>(argument);
  const uintptr_t pc = _Unwind_GetIP(context);
  if (pc == 0) return _URC_END_OF_STACK;
  if (walk.from != 0 && pc != walk.from) return _URC_NO_REASON;
  walk.from = 0;
  walk.pcs[walk.count++] = pc;
  return walk.count < walk.max ? _URC_NO_REASON : _URC_END_OF_STACK;
}

size_t WalkByLibunwind(const Libunwind& unwind, const ucontext_t& context, uintptr_t* pcs,
                       size_t max) {
  // A libunwind context is laid out like the kernel's, perhaps without its tail.
  unw_context_t copy;
  std::memset(&copy, 0, sizeof(copy));
  std::memcpy(&copy, &context, sizeof(copy) < sizeof(context) ? sizeof(copy) : sizeof(context));
  unw_cursor_t cursor;
  if (unwind.init_local(&cursor, &copy, UNW_INIT_SIGNAL_FRAME) < 0) return 0;
  size_t count = 0;
  do {
    unw_word_t pc = 0;
    if (unwind.get_register(&cursor, UNW_REG_IP, &pc) < 0 || pc == 0) break;
    pcs[count++] = pc;
  } while (count < max && unwind.step(&cursor) > 0);
  return count;
}

}  // namespace

void LoadUnwinder(const void* beside) noexcept {
  if (name.load() != nullptr) return;
  try {
    void* library = OpenLibrary(beside);
    if (library != nullptr && FindAll(library)) {
      libunwind.store(&functions);
      name.store("libunwind");
      return;
    }
  } catch (...) {  // out of memory: libgcc does without
  }
  name.store("libgcc");
}

const char* UnwinderName() noexcept { return name.load(); }

__attribute__((noinline)) size_t UnwindHere(uintptr_t* pcs, size_t max) noexcept {
  if (max == 0) return 0;
  const Libunwind* unwind = libunwind.load();
  if (unwind == nullptr) {
    // The first frame that libgcc reports is this function.
    Walk walk{pcs, max};
    _Unwind_Backtrace(TakeFrame, &walk);
    if (walk.count == 0) return 0;
    std::memmove(pcs, pcs + 1, (walk.count - 1) * sizeof(*pcs));
    return walk.count - 1;
  }
  const int frames = unwind->backtrace(reinterpret_cast<void**>(pcs), static_cast<int>(max));
  if (frames <= 1) return 0;
  std::memmove(pcs, pcs + 1, (static_cast<size_t>(frames) - 1) * sizeof(*pcs));
  return static_cast<size_t>(frames) - 1;
}

size_t UnwindFromSignal(const ucontext_t& context, uintptr_t* pcs, size_t max) noexcept {
  if (max == 0) return 0;
  if (const Libunwind* unwind = libunwind.load()) {
    const size_t count = WalkByLibunwind(*unwind, context, pcs, max);
    if (count > 0) return count;
  }
  Walk walk{pcs, max, 0, InterruptedPc(context)};
  _Unwind_Backtrace(TakeFrame, &walk);
  if (walk.count > 0) return walk.count;
  pcs[0] = InterruptedPc(context);
  return 1;
}

uintptr_t InterruptedPc(const ucontext_t& context) noexcept {
  return static_cast<uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
}

}  // namespace lamplight::stacks
