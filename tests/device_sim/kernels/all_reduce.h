// The three kernels of the all-reduce as functions of a policy. Each runs a whole grid on the
// calling thread and returns when the grid is over.
#pragma once

#include "lamport.h"

namespace device_sim {

void OneShot(KernelContext& context, const Policy& policy, const Job& job);
// `wait`: also awaits the sums and moves the index on; otherwise the norm kernel does.
void TwoShot(KernelContext& context, const Policy& policy, const Job& job, bool wait);
void NormAfterTwoShot(KernelContext& context, const Policy& policy, const Job& job);

}  // namespace device_sim
