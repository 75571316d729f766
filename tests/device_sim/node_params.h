// Between the C structs of graph nodes and operations. Thread-safe: no state.
#pragma once

#include <cuda.h>
#include <driver_types.h>

#include "tests/device_sim/graph.h"

namespace device_sim {

Status FromDriver(const CUDA_KERNEL_NODE_PARAMS* params, Operation* operation);
Status FromRuntime(const cudaKernelNodeParams* params, Operation* operation);
Status FromGeneric(const CUgraphNodeParams* params, Operation* operation);
Status FromMemset(const CUDA_MEMSET_NODE_PARAMS* params, Operation* operation);
Status FromCopy3D(const CUDA_MEMCPY3D* params, Operation* operation);
Status FromHost(const CUDA_HOST_NODE_PARAMS* params, Operation* operation);
Status FromEvent(CUevent event, bool record, Operation* operation);
Status FromChild(CUgraph graph, Operation* operation);
Status FromLinearCopy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                      Operation* operation);

void ToDriver(const KernelCall& call, CUDA_KERNEL_NODE_PARAMS* params);
void ToRuntime(const KernelCall& call, cudaKernelNodeParams* params);
void ToMemset(const FillCall& call, CUDA_MEMSET_NODE_PARAMS* params);
void ToCopy3D(const CopyCall& call, CUDA_MEMCPY3D* params);

// A replacement keeps the attributes of the node that it replaces.
Status ReplaceKernel(CUgraphNode node, Operation* operation);

Status GetAttribute(const KernelCall& call, CUkernelNodeAttrID id, CUkernelNodeAttrValue* value);
Status SetAttribute(KernelCall* call, CUkernelNodeAttrID id, const CUkernelNodeAttrValue* value);

}  // namespace device_sim
