// What a graph is made of, as the driver tells: nodes, edges, and the Lamport calls among them.
//
// Read from the finished graph, so it does not matter how the graph was built. Nodes of child
// graphs follow the graph's own nodes and hang below their child-graph node. Plain values; not
// synchronised.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <string>
#include <vector>

#include "shim/driver_api.h"
#include "shim/functions.h"
#include "shim/lamport/recognition.h"

namespace lamplight::shim {

struct GraphShape {
  struct Edge {
    uint32_t from;
    uint32_t to;
    uint16_t kind;  // CUgraphDependencyType: 0 full, 1 programmatic
    uint16_t from_port;

    bool programmatic() const { return kind == CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC; }
  };
  struct Call {
    uint32_t node;
    const Function* function;
    lamport::DecodedCall decoded;
    bool decodable;
    bool enabled = true;          // false: the host has switched the node off in the exec
    CUcontext context = nullptr;  // that the node runs in, as the driver tells
  };

  std::vector<CUgraphNode> nodes;  // the graph's own first, `own` of them
  uint32_t own = 0;
  std::vector<uint32_t> kinds;  // CUgraphNodeType
  std::vector<Edge> edges;
  std::vector<Call> calls;                    // Lamport kernels, in topological order
  std::vector<uint32_t> top;                  // for each node the own node that contains it
  std::vector<uint32_t> order;                // all nodes, topological
  std::vector<trace::EarlyRead> early_reads;  // shim/early_reads.h
  bool owns_memory = false;  // allocation or free nodes: such a graph cannot lose nodes again

  // Own nodes on which no own node depends.
  std::vector<uint32_t> Sinks() const;
  // Own nodes with a Lamport call from which no path leads to another one (to: by which none is
  // reached).
  std::vector<uint32_t> LastLamportNodes() const;
  std::vector<uint32_t> FirstLamportNodes() const;
};

// False with `error` set where the driver does not tell.
bool ReadGraphShape(const DriverApi& driver, Functions& functions, CUgraph graph, GraphShape* shape,
                    std::string* error);

}  // namespace lamplight::shim
