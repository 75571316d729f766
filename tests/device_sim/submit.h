// The one way by which operations reach a stream: run in order, or captured as a node.
//
// Thread-safe.
#pragma once

#include "tests/device_sim/operation.h"
#include "tests/device_sim/stream.h"

namespace device_sim {

Status Submit(Stream& stream, Operation operation);
// The same, then waits for the end where the stream does not capture.
Status SubmitAndWait(Stream& stream, Operation operation);

// Checks, copies arguments and submits. `function`: a host function or any kernel handle.
struct LaunchRequest {
  const void* function = nullptr;
  Context* context = nullptr;  // null: the current one
  Dim3 grid;
  Dim3 block;
  size_t shared_bytes = 0;
  const CUlaunchAttribute* attributes = nullptr;
  size_t attribute_count = 0;
  void* const* arguments = nullptr;
  void* const* extra = nullptr;
};
Status BuildKernelCall(const LaunchRequest& request, KernelCall* call);
Status Launch(Stream& stream, const LaunchRequest& request);

Status Copy(Stream& stream, uintptr_t to, uintptr_t from, size_t bytes, CUmemorytype to_type,
            CUmemorytype from_type, bool wait);
Status Fill(Stream& stream, const FillCall& fill, bool wait);

}  // namespace device_sim
