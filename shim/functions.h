// Which kernels are Lamport kernels: one entry for every function that the process has launched.
//
// Find is wait-free. Entries live for ever; a kernel is named and checked against the driver once.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "shim/driver_api.h"
#include "shim/handle_map.h"
#include "shim/lamport/recognition.h"
#include "shim/recorder/recorder.h"

namespace lamplight::shim {

struct Function {
  uint32_t kernel_id = 0;
  std::string symbol;
  lamport::Recognition recognition;
  std::vector<lamport::ParameterSpan> parameters;  // as the driver tells them

  bool lamport() const { return recognition.lamport; }
  bool decoded() const { return recognition.decoded; }
};

class Functions {
 public:
  Functions(const DriverApi& driver, lamport::AbiTable& abi, Recorder& recorder)
      : driver_(driver), abi_(abi), recorder_(recorder) {}

  // The entry of a launch's function argument; null before its first Learn.
  const Function* Find(const void* launched) const noexcept { return by_launch_.Find(launched); }
  // The same for the function of a kernel node's parameters, which may also be a driver's.
  const Function* FindInNode(const void* function) const noexcept {
    const Function* launched = by_launch_.Find(function);
    return launched != nullptr ? launched : by_driver_.Find(function);
  }
  // Names the kernel behind `launched` (a host function or a cudaKernel_t). `caller` is an address
  // in the code that launches: its file may tell the library's version. Never null.
  const Function* Learn(const void* launched, const void* caller);
  // The same for what the driver API launches, a CUfunction or a CUkernel.
  const Function* LearnHandle(CUfunction launched, const void* caller);
  // The same for a driver's function, as graph nodes name it.
  const Function* LearnDriver(CUfunction function);
  // A Lamport kernel by its id in the trace; null if there is none.
  const Function* ById(uint32_t kernel_id) noexcept;
  // The process unloaded code: addresses may come to mean other kernels.
  void ForgetLaunches() noexcept;

 private:
  CUfunction RuntimeFunction(const void* launched, const void* caller) noexcept;
  CUfunction OfKernel(const void* launched) noexcept;
  const Function* Learn(const void* launched, CUfunction function, const void* caller);
  const Function* Describe(CUfunction function, const std::string& module_path);
  void Define(const Function& function);

  const DriverApi& driver_;
  lamport::AbiTable& abi_;
  Recorder& recorder_;
  HandleMap<const Function> by_launch_;
  HandleMap<const Function> by_driver_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<Function>> by_symbol_;  // symbol and module path
  uint32_t next_id_ = 1;
};

}  // namespace lamplight::shim
