// The report for programs: docs/report_schema.md.
//
// Pure: no state, safe from any thread.
#pragma once

#include <string>

#include "analyzer/detectors/detection.h"
#include "analyzer/trace_model.h"

namespace lamplight {

inline constexpr int kReportSchemaMajor = 1;
inline constexpr int kReportSchemaMinor = 5;

std::string JsonReport(const Model& model, const Detection& diagnosis);

}  // namespace lamplight
