// libcudart: building and reading graphs. Thin C entries; thread-safe.
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/graph.h"
#include "tests/device_sim/node_params.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

const CUgraphEdgeData* Edges(const cudaGraphEdgeData* edges) {
  return reinterpret_cast<const CUgraphEdgeData*>(edges);
}
CUgraphEdgeData* Edges(cudaGraphEdgeData* edges) {
  return reinterpret_cast<CUgraphEdgeData*>(edges);
}

// `make(Operation*)` reads the caller's parameters.
template <class Make>
cudaError_t Add(cudaGraphNode_t* node, cudaGraph_t graph, const cudaGraphNode_t* dependencies,
                size_t count, Make make, const cudaGraphEdgeData* edges = nullptr) {
  return Runtime([&]() -> Status {
    if (dependencies == nullptr && count > 0) return CUDA_ERROR_INVALID_VALUE;
    Operation operation;
    SIM_TRY(make(&operation));
    return AddNode(node, graph, {dependencies, count}, Edges(edges), std::move(operation));
  });
}

}  // namespace

extern "C" {

cudaError_t cudaGraphCreate(cudaGraph_t* graph, unsigned flags) {
  return Runtime([&] { return flags != 0 ? CUDA_ERROR_INVALID_VALUE : CreateGraph(graph); });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return Runtime([&] { return cuGraphDestroy(graph); });
}

cudaError_t cudaGraphClone(cudaGraph_t* clone, cudaGraph_t graph) {
  return Runtime([&] { return CloneGraph(clone, graph); });
}

cudaError_t cudaGraphNodeFindInClone(cudaGraphNode_t* node, cudaGraphNode_t original,
                                     cudaGraph_t clone) {
  return Runtime([&] { return FindInClone(node, original, clone); });
}

cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                   const cudaGraphNode_t* dependencies, size_t count,
                                   const cudaKernelNodeParams* params) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromRuntime(params, out); });
}

cudaError_t cudaGraphAddMemcpyNode1D(cudaGraphNode_t* node, cudaGraph_t graph,
                                     const cudaGraphNode_t* dependencies, size_t count, void* to,
                                     const void* from, size_t bytes, cudaMemcpyKind kind) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromLinearCopy(to, from, bytes, kind, out); });
}

cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                   const cudaGraphNode_t* dependencies, size_t count,
                                   const cudaMemsetParams* params) {
  return Add(node, graph, dependencies, count, [&](Operation* out) {
    return FromMemset(reinterpret_cast<const CUDA_MEMSET_NODE_PARAMS*>(params), out);
  });
}

cudaError_t cudaGraphAddHostNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                 const cudaGraphNode_t* dependencies, size_t count,
                                 const cudaHostNodeParams* params) {
  return Add(node, graph, dependencies, count, [&](Operation* out) {
    return FromHost(reinterpret_cast<const CUDA_HOST_NODE_PARAMS*>(params), out);
  });
}

cudaError_t cudaGraphAddChildGraphNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                       const cudaGraphNode_t* dependencies, size_t count,
                                       cudaGraph_t child) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromChild(child, out); });
}

cudaError_t cudaGraphAddEmptyNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                  const cudaGraphNode_t* dependencies, size_t count) {
  return Add(node, graph, dependencies, count, [](Operation* out) {
    *out = EmptyCall{};
    return kOk;
  });
}

cudaError_t cudaGraphAddEventRecordNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                        const cudaGraphNode_t* dependencies, size_t count,
                                        cudaEvent_t event) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromEvent(event, true, out); });
}

cudaError_t cudaGraphAddEventWaitNode(cudaGraphNode_t* node, cudaGraph_t graph,
                                      const cudaGraphNode_t* dependencies, size_t count,
                                      cudaEvent_t event) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromEvent(event, false, out); });
}

cudaError_t cudaGraphAddNode(cudaGraphNode_t* node, cudaGraph_t graph,
                             const cudaGraphNode_t* dependencies, const cudaGraphEdgeData* edges,
                             size_t count, cudaGraphNodeParams* params) {
  return Add(
      node, graph, dependencies, count,
      [&](Operation* out) {
        return FromGeneric(reinterpret_cast<CUgraphNodeParams*>(params), out);
      },
      edges);
}

cudaError_t cudaGraphDestroyNode(cudaGraphNode_t node) {
  return Runtime([&] { return DestroyNode(node); });
}

cudaError_t cudaGraphAddDependencies(cudaGraph_t graph, const cudaGraphNode_t* from,
                                     const cudaGraphNode_t* to, const cudaGraphEdgeData* edges,
                                     size_t count) {
  return Runtime([&] { return AddDependencies(graph, {from, count}, to, Edges(edges)); });
}

cudaError_t cudaGraphRemoveDependencies(cudaGraph_t graph, const cudaGraphNode_t* from,
                                        const cudaGraphNode_t* to, const cudaGraphEdgeData* edges,
                                        size_t count) {
  return Runtime([&] { return RemoveDependencies(graph, {from, count}, to, Edges(edges)); });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  return Runtime([&] { return GraphNodes(graph, nodes, count); });
}

cudaError_t cudaGraphGetRootNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  return Runtime([&] { return RootNodes(graph, nodes, count); });
}

cudaError_t cudaGraphGetEdges(cudaGraph_t graph, cudaGraphNode_t* from, cudaGraphNode_t* to,
                              cudaGraphEdgeData* edges, size_t* count) {
  return Runtime([&] { return GraphEdges(graph, from, to, Edges(edges), count); });
}

cudaError_t cudaGraphNodeGetDependencies(cudaGraphNode_t node, cudaGraphNode_t* nodes,
                                         cudaGraphEdgeData* edges, size_t* count) {
  return Runtime([&] { return NodeDependencies(node, nodes, Edges(edges), count); });
}

cudaError_t cudaGraphNodeGetDependentNodes(cudaGraphNode_t node, cudaGraphNode_t* nodes,
                                           cudaGraphEdgeData* edges, size_t* count) {
  return Runtime([&] { return NodeDependents(node, nodes, Edges(edges), count); });
}

cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  return Runtime([&] { return NodeType(node, reinterpret_cast<CUgraphNodeType*>(type)); });
}

cudaError_t cudaGraphChildGraphNodeGetGraph(cudaGraphNode_t node, cudaGraph_t* graph) {
  return Runtime([&] {
    return WithNode<ChildCall>(
        node, [&](const ChildCall& call) { return Store(graph, HandleOf(call.graph.get())); });
  });
}

}  // extern "C"
