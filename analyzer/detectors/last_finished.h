// What every rank of a hung group finished last, as its kernels' own snapshots tell.
//
// Pure functions over a finished model; safe from any thread.
#pragma once

#include "analyzer/finding.h"

namespace lamplight {

// Fills finding->last_finished for all ranks of the group, the idle ones too. Ranks whose calls do
// not journal are left out.
void AddLastFinished(const Model& model, Finding* finding);

}  // namespace lamplight
