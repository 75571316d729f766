// From the records of all ranks to one Model. Thread-safe: no shared state.
#pragma once

#include <string>
#include <vector>

#include "analyzer/trace_model.h"
#include "analyzer/trace_reader.h"

namespace lamplight {

// Takes the traces, so that their memory is free again as the model grows. `unreadable`: one line
// for each file that gave nothing; it becomes a loss.
Model BuildModel(std::vector<TraceFile> traces, const std::vector<std::string>& unreadable);

}  // namespace lamplight
