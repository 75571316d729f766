// The few functions of CPython that it takes to read its stacks, found in the running process.
//
// Plain function pointers; finding them takes the dynamic loader's lock.
#pragma once

#include <optional>
#include <string>

#include "shim/stacks/gil_thread.h"

namespace lamplight::stacks {

struct PythonApi {
  using Object = void*;

  int (*is_initialised)() = nullptr;
  const char* (*version)() = nullptr;
  Object (*main_interpreter)() = nullptr;
  GilApi gil;
  Object (*import_module)(const char*) = nullptr;
  Object (*call_method)(Object, const char*, const char*, ...) = nullptr;
  void (*clear_error)() = nullptr;
  void (*release)(Object) = nullptr;
  // Since 3.10; both null before.
  int (*gc_disable)() = nullptr;
  int (*gc_enable)() = nullptr;
  // _Py_DumpTracebackThreads(fd, interpreter, thread): takes no lock and allocates nothing.
  // Null where this build neither exports it nor has a symbol table.
  const char* (*dump_threads)(int, Object, Object) = nullptr;
};

// Nothing where the process runs no CPython, with the reason.
std::optional<PythonApi> FindPython(std::string* why_not);

// What it takes to walk the frames of one thread under the GIL: CPython 3.10 and later.
struct PythonFrameApi {
  using Object = void*;

  int (*is_initialised)() = nullptr;
  GilApi gil;
  // The calling thread's state, whether it has the GIL or not; null: Python does not know it.
  Object (*own_state)() = nullptr;
  // The state that runs now: the calling thread's own, if and only if it has the GIL. (Unlike
  // PyGILState_Check, also in a process with subinterpreters.)
  Object (*running_state)() = nullptr;
  Object (*frame_of)(Object state) = nullptr;  // a new reference, as all below
  Object (*code_of)(Object frame) = nullptr;
  Object (*caller_of)(Object frame) = nullptr;
  int (*line_of)(Object frame) = nullptr;
  Object (*attribute)(Object, const char*) = nullptr;
  const char* (*utf8)(Object) = nullptr;  // owned by the object
  Object (*error)() = nullptr;            // borrowed
  void (*clear_error)() = nullptr;
  void (*release)(Object) = nullptr;
  int (*gc_disable)() = nullptr;
  int (*gc_enable)() = nullptr;
};

// Nothing where the process runs no CPython that has all of it.
std::optional<PythonFrameApi> FindPythonFrames();

}  // namespace lamplight::stacks
