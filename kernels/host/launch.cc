// The launch of a planned call. Thread-safe; allocates nothing, waits for nothing.
#include "kernels/host/call.h"

namespace lamplight::kernels {
namespace {

// Clusters and programmatic launches came with compute capability 9.
constexpr uint32_t kFirstWithClusters = 9;
constexpr size_t kAttributes = 2;

// The programmatic attribute comes first, and is there also where it is off, as in the field.
void SetAttributes(const PlannedCall& planned, cudaLaunchAttribute (&attributes)[kAttributes]) {
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = planned.pdl ? 1 : 0;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.x = 1;
  attributes[1].val.clusterDim.y = planned.launch.cluster;
  attributes[1].val.clusterDim.z = 1;
}

Status CheckDevice(int device) {
  int current = 0;
  LAMPLIGHT_TRY_CUDA(cudaGetDevice(&current));
  if (current == device) return {};
  return Error(
      LAMPLIGHT_ERROR_DEVICE,
      "device %d is current and the workspace is on device %d: call cudaSetDevice(%d) first",
      current, device, device);
}

}  // namespace

Status Launch(const Workspace& workspace, const PlannedCall& planned, cudaStream_t stream) {
  LAMPLIGHT_TRY(CheckDevice(workspace.device));
  cudaLaunchAttribute attributes[kAttributes] = {};
  SetAttributes(planned, attributes);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(planned.launch.grid_x, planned.launch.grid_y);
  config.blockDim = dim3(planned.launch.block);
  config.dynamicSmemBytes = planned.launch.shared_bytes;
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = workspace.limits.compute_major >= kFirstWithClusters ? kAttributes : 0;
  void* arguments[] = {const_cast<CollectiveCall*>(&planned.call)};
  return FromCuda(cudaLaunchKernelExC(&config, planned.function, arguments), "cudaLaunchKernelExC");
}

}  // namespace lamplight::kernels
