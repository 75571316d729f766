// The parts of the JSON report (docs/report_schema.md). Pure; safe from any thread.
#pragma once

#include <nlohmann/json.hpp>

#include "analyzer/finding.h"
#include "analyzer/trace_model.h"

namespace lamplight {

// Keys keep the order in which they are written: reports are read by people too.
using Json = nlohmann::ordered_json;

Json FindingJson(const Model& model, const Finding& finding);
Json HangJson(const Model& model, Index hang);
Json SiteJson(const Model& model, Index site);
Json ProcessJson(const Model& model, Index process);
Json CommunicatorJson(const Model& model, Index communicator);
Json SwapJson(const Model& model, const KernelSwap& swap);
// null for kUnknown.
Json NumberOrNull(uint32_t value);

}  // namespace lamplight
