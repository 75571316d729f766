// The parts of the text report. Each appends to a writer; none keeps state.
#pragma once

#include "analyzer/detectors/detection.h"
#include "analyzer/report/text_writer.h"
#include "analyzer/trace_model.h"

namespace lamplight {

void WriteFinding(const Model& model, const Finding& finding, size_t number, TextWriter* out);
// Host threads and Python stacks of all hangs.
void WriteHangStacks(const Model& model, TextWriter* out);
void WriteProcesses(const Model& model, TextWriter* out);
void WriteCommunicators(const Model& model, TextWriter* out);
void WriteDriverCalls(const Model& model, TextWriter* out);
void WriteSwaps(const Model& model, TextWriter* out);

}  // namespace lamplight
