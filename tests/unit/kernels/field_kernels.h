// Launches the simulated device's bodies of the field's kernels on a group of ranks: FlashInfer's
// MNNVL one-shot, two-shot and norm, of era C (0.6.0 – 0.6.11) and era G (0.6.15 and later).
// bf16 only. As thread-safe as RankGroup.
#pragma once

#include "tests/unit/kernels/rank_group.h"

namespace lamplight::kernels {

enum class Era { kC, kG };

// The same work as RankGroup::Do: one-shot with a norm; two-shot sums, or the pair with a norm.
void DoInField(Era era, RankGroup* group, uint32_t rank, const Work& work, Tensors* tensors);

}  // namespace lamplight::kernels
