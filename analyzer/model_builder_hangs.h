// The hangs of one trace with their evidence. Works on one model at a time.
#pragma once

#include "analyzer/model_builder_ids.h"
#include "analyzer/trace_reader.h"

namespace lamplight {

// Adds them to `model`, whose definitions and events of this trace are there.
void AddHangs(const TraceFile& trace, ProcessIds* ids, Model* model);

}  // namespace lamplight
