// libcuda: building and reading graphs. Thin C entries; thread-safe.
#include <cuda.h>

#include "tests/device_sim/entry_guard.h"
#include "tests/device_sim/graph.h"
#include "tests/device_sim/node_params.h"
#include "tests/device_sim/tool_callbacks.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

namespace {

// `make(Operation*)` reads the caller's parameters.
template <class Make>
CUresult Add(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, size_t count,
             Make make, const CUgraphEdgeData* edges = nullptr) {
  return DriverInContext([&]() -> Status {
    if (dependencies == nullptr && count > 0) return CUDA_ERROR_INVALID_VALUE;
    Operation operation;
    SIM_TRY(make(&operation));
    return AddNode(node, graph, {dependencies, count}, edges, std::move(operation));
  });
}

}  // namespace

extern "C" {

CUresult cuGraphCreate(CUgraph* graph, unsigned flags) {
  return Driver([&] { return flags != 0 ? CUDA_ERROR_INVALID_VALUE : CreateGraph(graph); });
}

CUresult cuGraphDestroy(CUgraph graph) {
  const cupti::GraphParams told{graph};
  return Told(cupti::kGraphDestroy, "cuGraphDestroy", told,
              [&]() -> CUresult { return Driver([&] { return DestroyGraph(graph); }); });
}

CUresult cuGraphClone(CUgraph* clone, CUgraph graph) {
  return Driver([&] { return CloneGraph(clone, graph); });
}

CUresult cuGraphNodeFindInClone(CUgraphNode* node, CUgraphNode original, CUgraph clone) {
  return Driver([&] { return FindInClone(node, original, clone); });
}

CUresult cuGraphAddKernelNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                              size_t count, const CUDA_KERNEL_NODE_PARAMS* params) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromDriver(params, out); });
}

CUresult cuGraphAddMemcpyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                              size_t count, const CUDA_MEMCPY3D* params, CUcontext) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromCopy3D(params, out); });
}

CUresult cuGraphAddMemsetNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                              size_t count, const CUDA_MEMSET_NODE_PARAMS* params, CUcontext) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromMemset(params, out); });
}

CUresult cuGraphAddHostNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                            size_t count, const CUDA_HOST_NODE_PARAMS* params) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromHost(params, out); });
}

CUresult cuGraphAddChildGraphNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                  size_t count, CUgraph child) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromChild(child, out); });
}

CUresult cuGraphAddEmptyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                             size_t count) {
  return Add(node, graph, dependencies, count, [](Operation* out) {
    *out = EmptyCall{};
    return kOk;
  });
}

CUresult cuGraphAddEventRecordNode(CUgraphNode* node, CUgraph graph,
                                   const CUgraphNode* dependencies, size_t count, CUevent event) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromEvent(event, true, out); });
}

CUresult cuGraphAddEventWaitNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                 size_t count, CUevent event) {
  return Add(node, graph, dependencies, count,
             [&](Operation* out) { return FromEvent(event, false, out); });
}

CUresult cuGraphAddNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                        const CUgraphEdgeData* edges, size_t count, CUgraphNodeParams* params) {
  return Add(
      node, graph, dependencies, count, [&](Operation* out) { return FromGeneric(params, out); },
      edges);
}

CUresult cuGraphDestroyNode(CUgraphNode node) {
  return Driver([&] { return DestroyNode(node); });
}

CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                const CUgraphEdgeData* edges, size_t count) {
  return Driver([&] { return AddDependencies(graph, {from, count}, to, edges); });
}

CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                   const CUgraphEdgeData* edges, size_t count) {
  return Driver([&] { return RemoveDependencies(graph, {from, count}, to, edges); });
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  return Driver([&] { return GraphNodes(graph, nodes, count); });
}

CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode* nodes, size_t* count) {
  return Driver([&] { return RootNodes(graph, nodes, count); });
}

CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* edges,
                         size_t* count) {
  return Driver([&] { return GraphEdges(graph, from, to, edges, count); });
}

CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* edges,
                                    size_t* count) {
  return Driver([&] { return NodeDependencies(node, nodes, edges, count); });
}

CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode* nodes, CUgraphEdgeData* edges,
                                      size_t* count) {
  return Driver([&] { return NodeDependents(node, nodes, edges, count); });
}

// The form of CUDA 10 to 12.2, which cannot tell edges apart.
#undef cuGraphGetEdges
CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode* from, CUgraphNode* to, size_t* count) {
  return Driver([&] { return GraphEdges(graph, from, to, nullptr, count); });
}

CUresult cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType* type) {
  return Driver([&] { return NodeType(node, type); });
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode node, CUgraph* graph) {
  return Driver([&] {
    return WithNode<ChildCall>(
        node, [&](const ChildCall& call) { return Store(graph, HandleOf(call.graph.get())); });
  });
}

}  // extern "C"
