// Thread-safe: no state.
#include "tests/device_sim/node_params.h"

#include <algorithm>

#include "tests/device_sim/context.h"
#include "tests/device_sim/memory.h"
#include "tests/device_sim/submit.h"

namespace device_sim {
namespace {

Status Build(const LaunchRequest& request, Operation* operation) {
  KernelCall call;
  SIM_TRY(BuildKernelCall(request, &call));
  *operation = std::move(call);
  return kOk;
}

bool LiveEnd(uintptr_t address) {
  const auto allocation = FindAllocation(address);
  return allocation && allocation->on_device();
}

// One end of a 3D copy as a plain address; arrays are not simulated.
Status LinearEnd(CUmemorytype type, const void* host, CUdeviceptr device, uintptr_t* address) {
  if (type == CU_MEMORYTYPE_ARRAY) return CUDA_ERROR_NOT_SUPPORTED;
  *address = type == CU_MEMORYTYPE_HOST ? reinterpret_cast<uintptr_t>(host) : device;
  return *address == 0 ? CUDA_ERROR_INVALID_VALUE : kOk;
}

}  // namespace

Status FromDriver(const CUDA_KERNEL_NODE_PARAMS* params, Operation* operation) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  LaunchRequest request;
  request.function = params->func != nullptr ? static_cast<const void*>(params->func)
                                             : static_cast<const void*>(params->kern);
  request.context = FindContext(params->ctx);
  if (params->ctx != nullptr && request.context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  request.grid = {params->gridDimX, params->gridDimY, params->gridDimZ};
  request.block = {params->blockDimX, params->blockDimY, params->blockDimZ};
  request.shared_bytes = params->sharedMemBytes;
  request.arguments = params->kernelParams;
  request.extra = params->kernelParams != nullptr ? nullptr : params->extra;
  return Build(request, operation);
}

Status FromRuntime(const cudaKernelNodeParams* params, Operation* operation) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  LaunchRequest request;
  request.function = params->func;
  request.grid = {params->gridDim.x, params->gridDim.y, params->gridDim.z};
  request.block = {params->blockDim.x, params->blockDim.y, params->blockDim.z};
  request.shared_bytes = params->sharedMemBytes;
  request.arguments = params->kernelParams;
  request.extra = params->kernelParams != nullptr ? nullptr : params->extra;
  return Build(request, operation);
}

Status FromMemset(const CUDA_MEMSET_NODE_PARAMS* params, Operation* operation) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const FillCall fill{.to = params->dst,
                      .value = params->value,
                      .element_bytes = params->elementSize,
                      .width = params->width,
                      .rows = params->height,
                      .pitch = params->pitch};
  const bool element =
      fill.element_bytes == 1 || fill.element_bytes == 2 || fill.element_bytes == 4;
  if (!element || fill.width == 0 || fill.rows == 0) return CUDA_ERROR_INVALID_VALUE;
  if (!FindAllocation(fill.to)) return CUDA_ERROR_INVALID_VALUE;
  *operation = fill;
  return kOk;
}

Status FromCopy3D(const CUDA_MEMCPY3D* params, Operation* operation) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (params->Height > 1 || params->Depth > 1) return CUDA_ERROR_NOT_SUPPORTED;
  CopyCall copy;
  SIM_TRY(LinearEnd(params->dstMemoryType, params->dstHost, params->dstDevice, &copy.to));
  SIM_TRY(LinearEnd(params->srcMemoryType, params->srcHost, params->srcDevice, &copy.from));
  copy.to += params->dstXInBytes;
  copy.from += params->srcXInBytes;
  copy.bytes = params->WidthInBytes;
  copy.device_to_host = LiveEnd(copy.from) && !LiveEnd(copy.to);
  *operation = std::move(copy);
  return kOk;
}

Status FromLinearCopy(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                      Operation* operation) {
  CopyCall copy{.to = reinterpret_cast<uintptr_t>(to),
                .from = reinterpret_cast<uintptr_t>(from),
                .bytes = bytes,
                .staged = nullptr};
  if (copy.to == 0 || copy.from == 0) return CUDA_ERROR_INVALID_VALUE;
  copy.device_to_host = LiveEnd(copy.from) && !LiveEnd(copy.to);
  *operation = std::move(copy);
  return kOk;
}

Status FromHost(const CUDA_HOST_NODE_PARAMS* params, Operation* operation) {
  if (params == nullptr || params->fn == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *operation = HostCall{params->fn, params->userData};
  return kOk;
}

Status FromEvent(CUevent handle, bool record, Operation* operation) {
  EventRef event = Events().Find(handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (record) {
    *operation = EventRecordCall{std::move(event)};
  } else {
    *operation = EventWaitCall{std::move(event)};
  }
  return kOk;
}

Status FromChild(CUgraph handle, Operation* operation) {
  GraphRef graph = Graphs().Find(handle);
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *operation = ChildCall{std::move(graph)};
  return kOk;
}

Status FromGeneric(const CUgraphNodeParams* params, Operation* operation) {
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  switch (params->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return FromDriver(reinterpret_cast<const CUDA_KERNEL_NODE_PARAMS*>(&params->kernel),
                        operation);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      return FromCopy3D(&params->memcpy.copyParams, operation);
    case CU_GRAPH_NODE_TYPE_MEMSET:
      return FromMemset(reinterpret_cast<const CUDA_MEMSET_NODE_PARAMS*>(&params->memset),
                        operation);
    case CU_GRAPH_NODE_TYPE_HOST:
      return FromHost(reinterpret_cast<const CUDA_HOST_NODE_PARAMS*>(&params->host), operation);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
      return FromEvent(params->eventRecord.event, true, operation);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
      return FromEvent(params->eventWait.event, false, operation);
    case CU_GRAPH_NODE_TYPE_GRAPH:
      return FromChild(params->graph.graph, operation);
    case CU_GRAPH_NODE_TYPE_EMPTY:
      *operation = EmptyCall{};
      return kOk;
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

void ToDriver(const KernelCall& call, CUDA_KERNEL_NODE_PARAMS* params) {
  *params = {};
  params->func = call.kernel->function_handle();
  params->gridDimX = call.grid.x;
  params->gridDimY = call.grid.y;
  params->gridDimZ = call.grid.z;
  params->blockDimX = call.block.x;
  params->blockDimY = call.block.y;
  params->blockDimZ = call.block.z;
  params->sharedMemBytes = call.shared_bytes;
  params->kernelParams = call.parameters->one_by_one();
  params->extra = call.parameters->extra();
  params->ctx = call.context->handle();
}

void ToRuntime(const KernelCall& call, cudaKernelNodeParams* params) {
  *params = {};
  params->func = call.kernel->runtime_function();
  params->gridDim = dim3{call.grid.x, call.grid.y, call.grid.z};
  params->blockDim = dim3{call.block.x, call.block.y, call.block.z};
  params->sharedMemBytes = call.shared_bytes;
  params->kernelParams = call.parameters->one_by_one();
  params->extra = call.parameters->extra();
}

void ToMemset(const FillCall& call, CUDA_MEMSET_NODE_PARAMS* params) {
  *params = {};
  params->dst = call.to;
  params->pitch = call.pitch;
  params->value = call.value;
  params->elementSize = call.element_bytes;
  params->width = call.width;
  params->height = call.rows;
}

void ToCopy3D(const CopyCall& call, CUDA_MEMCPY3D* params) {
  *params = {};
  params->srcMemoryType = params->dstMemoryType = CU_MEMORYTYPE_UNIFIED;
  params->srcDevice = call.from;
  params->dstDevice = call.to;
  params->WidthInBytes = call.bytes;
  params->Height = params->Depth = 1;
}

Status ReplaceKernel(CUgraphNode node, Operation* operation) {
  return WithNode<KernelCall>(node, [&](KernelCall& current) {
    std::get<KernelCall>(*operation).attributes = current.attributes;
    return kOk;
  });
}

Status GetAttribute(const KernelCall& call, CUkernelNodeAttrID id, CUkernelNodeAttrValue* value) {
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUlaunchAttribute* attribute = call.Find(id);
  *value = attribute == nullptr ? CUkernelNodeAttrValue{} : attribute->value;
  return kOk;
}

Status SetAttribute(KernelCall* call, CUkernelNodeAttrID id, const CUkernelNodeAttrValue* value) {
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  auto found = std::ranges::find(call->attributes, id, &CUlaunchAttribute::id);
  if (found == call->attributes.end()) {
    CUlaunchAttribute attribute{};
    attribute.id = id;
    found = call->attributes.insert(found, attribute);
  }
  found->value = *value;
  return kOk;
}

}  // namespace device_sim
