// Runs every detector over a model and turns their answers into one diagnosis.
//
// Pure: no state, safe from any thread.
#pragma once

#include "analyzer/detectors/detection.h"
#include "analyzer/trace_model.h"

namespace lamplight {

// Findings, the most important first; each hang of the model is explained by one of them or is
// itself an "H0" finding. Exit status 1 belongs to a diagnosis with findings that are not advisory.
Detection Diagnose(const Model& model);

// True when the diagnosis holds anything that `lamplight report` must answer with exit status 1.
bool HasFindings(const Detection& diagnosis);

}  // namespace lamplight
