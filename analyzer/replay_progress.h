// How far a replay has come, as its snapshots tell.
//
// Pure functions over a model whose replays and snapshots are there; safe from any thread.
#pragma once

#include <cstdint>

#include "analyzer/trace_model.h"

namespace lamplight {

// Whether snapshots that the host had by `by_ns` show every collective of the replay complete: its
// tail snapshot, or one that each of its calls has left itself.
bool PastItsCollectives(const Model& model, Index replay, uint64_t by_ns = ~uint64_t{0});

}  // namespace lamplight
