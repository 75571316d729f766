// Reads graphs through the driver's own queries.
#include "shim/graph_shape.h"

#include <algorithm>
#include <unordered_map>

#include "shim/arguments.h"
#include "shim/early_reads.h"

namespace lamplight::shim {
namespace {

using Index = std::unordered_map<CUgraphNode, uint32_t>;

class Reader {
 public:
  Reader(const DriverApi& driver, Functions& functions, GraphShape* shape, std::string* error)
      : driver_(driver), functions_(functions), shape_(*shape), error_(*error) {}

  // Appends `graph`; its nodes belong to own node `parent`, or each to itself (no parent).
  bool Append(CUgraph graph, const uint32_t* parent) {
    const size_t base = shape_.nodes.size();
    if (!ReadNodes(graph, parent) || !ReadEdges(graph, base)) return false;
    if (parent == nullptr) shape_.own = static_cast<uint32_t>(shape_.nodes.size());
    const size_t end = shape_.nodes.size();
    if (parent != nullptr) HangBelow(*parent, base, end);
    for (size_t node = base; node < end; ++node) {
      if (!ReadChild(node)) return false;
    }
    return true;
  }

  void ReadCalls() {
    shape_.order = TopologicalOrder();
    for (const uint32_t node : shape_.order) {
      if (shape_.kinds[node] == CU_GRAPH_NODE_TYPE_KERNEL) ReadCall(node);
    }
  }

 private:
  bool Ok(CUresult result, const char* call) {
    if (result == CUDA_SUCCESS) return true;
    const char* name = nullptr;
    driver_.GetErrorName(result, &name);
    error_ = std::string(call) + ": " + (name == nullptr ? "unknown error" : name);
    return false;
  }

  bool ReadNodes(CUgraph graph, const uint32_t* parent) {
    size_t count = 0;
    if (!Ok(driver_.GraphGetNodes(graph, nullptr, &count), "cuGraphGetNodes")) return false;
    const size_t base = shape_.nodes.size();
    shape_.nodes.resize(base + count);
    if (count > 0 &&
        !Ok(driver_.GraphGetNodes(graph, &shape_.nodes[base], &count), "cuGraphGetNodes")) {
      return false;
    }
    for (size_t i = base; i < base + count; ++i) {
      CUgraphNodeType type{};
      if (!Ok(driver_.GraphNodeGetType(shape_.nodes[i], &type), "cuGraphNodeGetType")) return false;
      shape_.kinds.push_back(type);
      shape_.top.push_back(parent == nullptr ? static_cast<uint32_t>(i) : *parent);
      shape_.owns_memory |=
          type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || type == CU_GRAPH_NODE_TYPE_MEM_FREE;
      index_[shape_.nodes[i]] = static_cast<uint32_t>(i);
    }
    return true;
  }

  bool ReadEdges(CUgraph graph, size_t base) {
    size_t count = 0;
    if (!Ok(driver_.GraphGetEdges(graph, nullptr, nullptr, nullptr, &count), "cuGraphGetEdges")) {
      return false;
    }
    if (count == 0 || base == shape_.nodes.size()) return true;
    std::vector<CUgraphNode> from(count), to(count);
    std::vector<CUgraphEdgeData> kind(count);
    if (!Ok(driver_.GraphGetEdges(graph, from.data(), to.data(), kind.data(), &count),
            "cuGraphGetEdges")) {
      return false;
    }
    for (size_t i = 0; i < count; ++i) {
      shape_.edges.push_back({index_[from[i]], index_[to[i]], kind[i].type, kind[i].from_port});
    }
    return true;
  }

  // A child graph starts after its node's dependencies, and the node's dependents wait for all of
  // it.
  void HangBelow(uint32_t parent, size_t base, size_t end) {
    std::vector<bool> has_before(end - base), has_after(end - base);
    const std::vector<GraphShape::Edge> edges = shape_.edges;
    for (const GraphShape::Edge& edge : edges) {
      if (edge.to >= base) has_before[edge.to - base] = true;
      if (edge.from >= base) has_after[edge.from - base] = true;
    }
    for (size_t node = base; node < end; ++node) {
      const auto child = static_cast<uint32_t>(node);
      if (!has_before[node - base]) shape_.edges.push_back({parent, child, 0, 0});
      if (has_after[node - base]) continue;
      for (const GraphShape::Edge& edge : edges) {
        if (edge.from == parent && edge.to < base) shape_.edges.push_back({child, edge.to, 0, 0});
      }
    }
  }

  bool ReadChild(size_t node) {
    if (shape_.kinds[node] != CU_GRAPH_NODE_TYPE_GRAPH) return true;
    CUgraph child = nullptr;
    if (!Ok(driver_.GraphChildGraphNodeGetGraph(shape_.nodes[node], &child),
            "cuGraphChildGraphNodeGetGraph")) {
      return false;
    }
    // Nested children keep the outermost own node as their top, but hang below their own parent.
    const auto parent = static_cast<uint32_t>(node);
    const size_t base = shape_.nodes.size();
    if (!Append(child, &parent)) return false;
    for (size_t i = base; i < shape_.nodes.size(); ++i) shape_.top[i] = shape_.top[node];
    return true;
  }

  std::vector<uint32_t> TopologicalOrder() const {
    std::vector<uint32_t> waiting(shape_.nodes.size(), 0);
    std::vector<std::vector<uint32_t>> after(shape_.nodes.size());
    for (const GraphShape::Edge& edge : shape_.edges) {
      ++waiting[edge.to];
      after[edge.from].push_back(edge.to);
    }
    std::vector<uint32_t> order;
    for (uint32_t node = 0; node < waiting.size(); ++node) {
      if (waiting[node] == 0) order.push_back(node);
    }
    for (size_t i = 0; i < order.size(); ++i) {
      for (const uint32_t next : after[order[i]]) {
        if (--waiting[next] == 0) order.push_back(next);
      }
    }
    return order;
  }

  void ReadCall(uint32_t node) {
    CUDA_KERNEL_NODE_PARAMS parameters{};
    if (driver_.GraphKernelNodeGetParams(shape_.nodes[node], &parameters) != CUDA_SUCCESS) return;
    const CUfunction function = FunctionOf(driver_, parameters);
    if (function == nullptr) return;
    const Function* learnt = functions_.LearnDriver(function);
    if (!learnt->lamport()) return;
    GraphShape::Call call{node, learnt, {}, false};
    call.context = parameters.ctx;
    Arguments arguments(*learnt, parameters.kernelParams, parameters.extra);
    call.decodable = lamport::Decode(learnt->recognition, arguments.get(), Shape(node, parameters),
                                     &call.decoded);
    shape_.calls.push_back(call);
  }

  lamport::LaunchShape Shape(uint32_t node, const CUDA_KERNEL_NODE_PARAMS& parameters) const {
    lamport::LaunchShape shape{};
    shape.grid[0] = parameters.gridDimX;
    shape.grid[1] = parameters.gridDimY;
    shape.grid[2] = parameters.gridDimZ;
    shape.block = parameters.blockDimX * parameters.blockDimY * parameters.blockDimZ;
    shape.cluster = 1;
    CUkernelNodeAttrValue value{};
    const CUgraphNode handle = shape_.nodes[node];
    if (driver_.GraphKernelNodeGetAttribute(handle, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
                                            &value) == CUDA_SUCCESS &&
        value.clusterDim.x > 0) {
      shape.cluster = value.clusterDim.x * value.clusterDim.y * value.clusterDim.z;
    }
    if (driver_.GraphKernelNodeGetAttribute(handle, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &value) ==
        CUDA_SUCCESS) {
      shape.cooperative = value.cooperative != 0;
    }
    shape.pdl = std::any_of(shape_.edges.begin(), shape_.edges.end(), [node](const auto& edge) {
      return edge.to == node && edge.programmatic();
    });
    return shape;
  }

  const DriverApi& driver_;
  Functions& functions_;
  GraphShape& shape_;
  std::string& error_;
  Index index_;
};

}  // namespace

std::vector<uint32_t> GraphShape::Sinks() const {
  std::vector<bool> has_after(nodes.size());
  for (const Edge& edge : edges) {
    if (edge.from < own && edge.to < own) has_after[edge.from] = true;
  }
  std::vector<uint32_t> sinks;
  for (uint32_t node = 0; node < own; ++node) {
    if (!has_after[node]) sinks.push_back(node);
  }
  return sinks;
}

namespace {

// Own Lamport nodes that see no other Lamport node along `next`, visiting nodes in `order`.
std::vector<uint32_t> Extremes(const GraphShape& shape, std::vector<uint32_t> order, bool forward) {
  std::vector<bool> lamport(shape.nodes.size()), sees(shape.nodes.size());
  for (const GraphShape::Call& call : shape.calls) lamport[shape.top[call.node]] = true;
  std::vector<std::vector<uint32_t>> next(shape.nodes.size());
  for (const GraphShape::Edge& edge : shape.edges) {
    if (edge.from >= shape.own || edge.to >= shape.own) continue;
    if (forward) next[edge.from].push_back(edge.to);
    if (!forward) next[edge.to].push_back(edge.from);
  }
  std::vector<uint32_t> extremes;
  for (const uint32_t node : order) {
    if (node >= shape.own) continue;
    sees[node] = std::any_of(next[node].begin(), next[node].end(),
                             [&](uint32_t other) { return lamport[other] || sees[other]; });
    if (lamport[node] && !sees[node]) extremes.push_back(node);
  }
  return extremes;
}

}  // namespace

std::vector<uint32_t> GraphShape::LastLamportNodes() const {
  return Extremes(*this, {order.rbegin(), order.rend()}, true);
}

std::vector<uint32_t> GraphShape::FirstLamportNodes() const {
  return Extremes(*this, order, false);
}

bool ReadGraphShape(const DriverApi& driver, Functions& functions, CUgraph graph, GraphShape* shape,
                    std::string* error) {
  Reader reader(driver, functions, shape, error);
  if (!reader.Append(graph, nullptr)) return false;
  reader.ReadCalls();
  shape->early_reads = FindEarlyReads(driver, *shape);
  return true;
}

}  // namespace lamplight::shim
