// What to do about a hazard that is one release's: whose kernels a finding names decides.
//
// Pure functions of a finding whose place is filled; safe from any thread.
#pragma once

#include <string>
#include <vector>

#include "analyzer/finding.h"

namespace lamplight {

// "FlashInfer's" unless all of the finding's nodes are TensorRT-LLM's.
std::string Whose(const Finding& finding);

std::vector<std::string> AdviceOnFlushing(const Finding& finding);     // C1
std::vector<std::string> AdviceOnMarksAsSums(const Finding& finding);  // C1, a sum of −0
std::vector<std::string> AdviceOnMarksAsInputs();                      // C1, an input of −0
std::vector<std::string> AdviceOnOpenBarrier(const Finding& finding);  // C7
std::vector<std::string> AdviceOnEarlyReads(const Finding& finding);   // C8

}  // namespace lamplight
