// Finds CPython; stateless.
#include "shim/stacks/python_api.h"

#include <dlfcn.h>

#include "shim/stacks/elf_symbols.h"
#include "shim/stacks/module.h"

namespace lamplight::stacks {
namespace {

// A library that was loaded privately is out of the global scope's reach.
void* PrivatePython() {
  const Module module = ModuleNamed("libpython3");
  return module.path.empty() ? nullptr : dlopen(module.path.c_str(), RTLD_NOLOAD | RTLD_LAZY);
}

template <class F>
bool Find(void* scope, const char* name, F* function) {
  *function = reinterpret_cast<F>(dlsym(scope, name));
  return *function != nullptr;
}

bool FindGil(void* scope, GilApi* api) {
  return Find(scope, "PyGILState_Ensure", &api->ensure) &&
         Find(scope, "PyGILState_Release", &api->release) &&
         Find(scope, "Py_AddPendingCall", &api->add_pending_call) &&
         Find(scope, "PyEval_SaveThread", &api->save_thread) &&
         Find(scope, "PyEval_RestoreThread", &api->restore_thread);
}

bool FindAll(void* scope, PythonApi* api) {
  return Find(scope, "Py_IsInitialized", &api->is_initialised) &&
         Find(scope, "Py_GetVersion", &api->version) &&
         Find(scope, "PyInterpreterState_Main", &api->main_interpreter) &&
         FindGil(scope, &api->gil) && Find(scope, "PyImport_ImportModule", &api->import_module) &&
         Find(scope, "PyObject_CallMethod", &api->call_method) &&
         Find(scope, "PyErr_Clear", &api->clear_error) && Find(scope, "Py_DecRef", &api->release);
}

// Exported by 3.11 and 3.12 only; elsewhere it is in the symbol table, unless that was stripped.
void FindDump(void* scope, PythonApi* api) {
  constexpr char kName[] = "_Py_DumpTracebackThreads";
  if (Find(scope, kName, &api->dump_threads)) return;
  const Module module = ModuleOf(reinterpret_cast<uintptr_t>(api->version));
  if (module.path.empty()) return;
  const uint64_t offset = ElfSymbols(module.path).Find(kName);
  if (offset == 0) return;
  const uintptr_t address = module.load_address + offset;
  api->dump_threads = reinterpret_cast<decltype(api->dump_threads)>(address);
}

bool FindFrames(void* scope, PythonFrameApi* api) {
  return Find(scope, "Py_IsInitialized", &api->is_initialised) && FindGil(scope, &api->gil) &&
         Find(scope, "PyGILState_GetThisThreadState", &api->own_state) &&
         (Find(scope, "PyThreadState_GetUnchecked", &api->running_state) ||  // 3.13
          Find(scope, "_PyThreadState_UncheckedGet", &api->running_state)) &&
         Find(scope, "PyThreadState_GetFrame", &api->frame_of) &&
         Find(scope, "PyFrame_GetCode", &api->code_of) &&
         Find(scope, "PyFrame_GetBack", &api->caller_of) &&
         Find(scope, "PyFrame_GetLineNumber", &api->line_of) &&
         Find(scope, "PyObject_GetAttrString", &api->attribute) &&
         Find(scope, "PyUnicode_AsUTF8", &api->utf8) &&
         Find(scope, "PyErr_Occurred", &api->error) &&
         Find(scope, "PyErr_Clear", &api->clear_error) &&
         Find(scope, "PyGC_Disable", &api->gc_disable) &&
         Find(scope, "PyGC_Enable", &api->gc_enable) && Find(scope, "Py_DecRef", &api->release);
}

}  // namespace

std::optional<PythonFrameApi> FindPythonFrames() {
  PythonFrameApi api;
  void* scope = RTLD_DEFAULT;
  if (!FindFrames(scope, &api)) {
    scope = PrivatePython();
    if (scope == nullptr || !FindFrames(scope, &api)) return std::nullopt;
  }
  return api;
}

std::optional<PythonApi> FindPython(std::string* why_not) {
  PythonApi api;
  void* scope = RTLD_DEFAULT;
  if (!FindAll(scope, &api)) {
    scope = PrivatePython();
    if (scope == nullptr || !FindAll(scope, &api)) {
      *why_not = "not a CPython 3 process";
      return std::nullopt;
    }
  }
  if (api.is_initialised() == 0) {
    *why_not = "Python is not initialised";
    return std::nullopt;
  }
  Find(scope, "PyGC_Disable", &api.gc_disable);
  Find(scope, "PyGC_Enable", &api.gc_enable);
  FindDump(scope, &api);
  return api;
}

}  // namespace lamplight::stacks
