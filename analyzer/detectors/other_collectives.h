// Kernels of a graph, or of a process, that may be collectives although nothing is known of their
// calls.
//
// Pure functions; safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "analyzer/detectors/hang_state.h"
#include "analyzer/trace_model.h"

namespace lamplight {

// By its demangled name: NCCL's, NVSHMEM's, custom all-reduces, all-to-alls.
bool LooksLikeCollective(std::string_view kernel);

// A Lamport kernel of the process that was recognised and not decoded; empty: none.
std::string UndecodedKernel(const Model& model, Index process);

// Nodes that other ranks may hold up.
struct OtherCollectives {
  std::vector<const Node*> undecoded;  // Lamport kernels
  std::vector<const Node*> named;      // by their names
};
OtherCollectives OthersIn(const Model& model, const Graph& graph);
// Those that may hold up the hung replay: what stands behind all of its due calls cannot, and what
// stands ahead of a call that is complete is complete itself.
OtherCollectives OthersAheadOf(const Model& model, const RankState& state, const StuckCalls& stuck);

}  // namespace lamplight
