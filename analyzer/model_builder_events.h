// The events of one trace: replays, eager launches, snapshots, updates, order.
// Works on one model at a time.
#pragma once

#include "analyzer/model_builder_ids.h"
#include "analyzer/trace_reader.h"

namespace lamplight {

// Adds them to `model`, whose definitions of this trace are there.
void AddEvents(const TraceFile& trace, ProcessIds* ids, Model* model);

// The replay of `exec` that ran as number `number`; kNone: its launch was not recorded.
Index FindReplay(const Model& model, const Exec& exec, uint64_t number);

}  // namespace lamplight
