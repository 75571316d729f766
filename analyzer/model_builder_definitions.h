// The definitions of one trace: process, devices, kernels, workspaces, graphs, execs, sites.
// Works on one model at a time.
#pragma once

#include "analyzer/model_builder_ids.h"
#include "analyzer/trace_reader.h"

namespace lamplight {

// Adds them to `model` and fills `ids`.
void AddDefinitions(const TraceFile& trace, ProcessIds* ids, Model* model);

}  // namespace lamplight
