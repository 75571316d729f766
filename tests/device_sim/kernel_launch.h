// Running kernel bodies: the context that a body sees, and how failures end it.
//
// A context is used by one thread; the rest is thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tests/device_sim/device.h"
#include "tests/device_sim/function_table.h"

namespace device_sim {

// Kernel arguments as copied at launch; `pointers` point into `bytes`. Immutable once built.
struct ParameterBlock {
  std::vector<std::byte> bytes;
  std::vector<void*> pointers;
  // Where they were given packed: the list that says so, which nodes give back.
  std::vector<void*> packed;
  size_t packed_size = 0;

  void** one_by_one() const {
    return packed.empty() ? const_cast<void**>(pointers.data()) : nullptr;
  }
  void** extra() const { return packed.empty() ? nullptr : const_cast<void**>(packed.data()); }
};

struct KernelCall {
  Kernel* kernel = nullptr;
  Context* context = nullptr;
  Dim3 grid;
  Dim3 block;
  unsigned shared_bytes = 0;
  std::vector<CUlaunchAttribute> attributes;
  std::shared_ptr<const ParameterBlock> parameters;

  const CUlaunchAttribute* Find(CUlaunchAttributeID id) const;
  bool programmatic() const;  // may start before its predecessor ends
  unsigned cluster_size() const;
};

// Copies arguments from an array of pointers, or from the packed buffer that `extra` names.
Status CopyParameters(const Kernel& kernel, void* const* arguments, void* const* extra,
                      std::shared_ptr<const ParameterBlock>* out);
// The real limits on grids, blocks and clusters.
Status CheckShape(const KernelCall& call);

// `while_polling` is called on the kernel's thread whenever the body polls.
Status RunKernel(const KernelCall& call, const std::function<void()>& while_polling);

// Kernels that have polled for a while without result, in this process.
bool AnyKernelPolls();

// Runs work of the device: an exception fails the device, the end of the process parks the thread.
Status RunGuarded(Device& device, const std::function<Status()>& run);

}  // namespace device_sim
