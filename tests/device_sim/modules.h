// Modules and libraries: named sets of kernels. Their images are ignored; kernels are found by
// name.
//
// Thread-safe.
#pragma once

#include <cuda.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tests/device_sim/function_table.h"
#include "tests/device_sim/handle_table.h"

namespace device_sim {

class Module {
 public:
  // NOT_FOUND where the device has no body of that name.
  Status Find(const char* name, Kernel** kernel);

 private:
  std::mutex mutex_;
  std::map<std::string, Kernel*> kernels_;
};

HandleTable<Module, CUmodule>& Modules();
HandleTable<Module, CUlibrary>& Libraries();

Status LoadModule(CUmodule* out, const void* image);
Status LoadLibrary(CUlibrary* out, const void* image);

// What the compiler's start-up code of a binary registers.
class FatBinary {
 public:
  void Add(const void* host_function, const char* symbol);
  ~FatBinary();

 private:
  std::vector<const void*> host_functions_;
};

}  // namespace device_sim
