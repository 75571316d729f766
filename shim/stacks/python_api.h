// The few functions of CPython that it takes to print its stacks, found in the running process.
//
// Plain function pointers; finding them takes the dynamic loader's lock.
#pragma once

#include <optional>
#include <string>

namespace lamplight::stacks {

struct PythonApi {
  using Object = void*;

  int (*is_initialised)() = nullptr;
  const char* (*version)() = nullptr;
  Object (*main_interpreter)() = nullptr;
  int (*gil_ensure)() = nullptr;
  void (*gil_release)(int) = nullptr;
  Object (*import_module)(const char*) = nullptr;
  Object (*call_method)(Object, const char*, const char*, ...) = nullptr;
  void (*clear_error)() = nullptr;
  void (*release)(Object) = nullptr;
  // Since 3.10; both null before.
  int (*gc_disable)() = nullptr;
  int (*gc_enable)() = nullptr;
  // _Py_DumpTracebackThreads(fd, interpreter, thread): takes no lock and allocates nothing.
  // Null
  // where this build neither exports it nor has a symbol table.
  const char* (*dump_threads)(int, Object, Object) = nullptr;
};

// Nothing where the process runs no CPython, with the reason.
std::optional<PythonApi> FindPython(std::string* why_not);

}  // namespace lamplight::stacks
