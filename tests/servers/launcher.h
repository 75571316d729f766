// Starts the ranks, as processes or threads, and watches them. Called once, from main().
#pragma once

#include "options.h"
#include "rendezvous.h"

namespace piecewise {

// Returns an ExitCode; kExitOk only when all ranks have published their result.
int RunProcesses(const Options& options, Rendezvous& rendezvous, char** argv);
int RunThreads(const Options& options, Rendezvous& rendezvous);

// One rank: RunRank with errors printed. Returns an ExitCode.
int RunRankReporting(const Options& options, int rank, Rendezvous& rendezvous);

}  // namespace piecewise
