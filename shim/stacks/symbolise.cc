// Names code addresses from the loader's tables, then from the file's own. Stateless.
#include <dlfcn.h>

#include <cerrno>

#include "shim/stacks/elf_symbols.h"
#include "shim/stacks/module.h"
#include "shim/stacks/stacks.h"

namespace lamplight::stacks {
namespace {

// `code` lies inside the call instruction, one byte before the return address: the call may be the
// last instruction of its function.
void NameFunction(uintptr_t code, uint64_t load_address, Symbol* result) {
  Dl_info known{};
  if (dladdr(reinterpret_cast<void*>(code), &known) != 0 && known.dli_sname != nullptr) {
    result->symbol = known.dli_sname;
    result->symbol_offset = code + 1 - reinterpret_cast<uintptr_t>(known.dli_saddr);
    return;
  }
  const ElfSymbols file(result->module);
  uint64_t offset = 0;
  result->symbol = file.NameAt(code - load_address, &offset);
  if (!result->symbol.empty()) result->symbol_offset = offset + 1;
}

}  // namespace

Symbol Symbolise(uintptr_t pc) noexcept {
  const int saved_errno = errno;
  Symbol result;
  try {
    const Module module = ModuleOf(pc - 1);
    if (!module.path.empty()) {
      result.module = module.path;
      result.module_offset = pc - module.load_address;
      NameFunction(pc - 1, module.load_address, &result);
    }
  } catch (...) {  // out of memory: what is known so far
  }
  errno = saved_errno;
  return result;
}

}  // namespace lamplight::stacks
