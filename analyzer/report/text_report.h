// The report for people: losses, verdict, findings, what to do, who took part.
//
// Pure: no state, safe from any thread.
#pragma once

#include <string>

#include "analyzer/detectors/detection.h"
#include "analyzer/trace_model.h"

namespace lamplight {

std::string TextReport(const Model& model, const Detection& diagnosis);

}  // namespace lamplight
