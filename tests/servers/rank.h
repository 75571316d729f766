// The life of one rank: workspace, warm-up, capture of one graph per bucket, serving.
//
// RunRank is called once per rank, in a process or a thread of its own. Throws CudaError.
#pragma once

#include "options.h"
#include "rendezvous.h"

namespace piecewise {

void RunRank(const Options& options, int rank, Rendezvous& rendezvous);

}  // namespace piecewise
