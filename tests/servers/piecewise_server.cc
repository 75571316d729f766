// A server to instrument: W ranks serve random requests with captured piecewise graphs of
// all-reduce, residual and RMSNorm. It knows nothing of the tools that watch it.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "launcher.h"
#include "options.h"
#include "payload.h"
#include "rendezvous.h"
#include "workspace.h"

namespace piecewise {
namespace {

using Printed = unsigned long long;

int PrintResults(const Options& options, Rendezvous& rendezvous) {
  Fnv64 total;
  uint64_t wrong = 0;
  for (int rank = 0; rank < options.world; ++rank) {
    const RankResult& result = rendezvous.seat(rank).result;
    std::printf("rank %d: %llu replays, %llu eager requests, checksum %016llx\n", rank,
                static_cast<Printed>(result.replays), static_cast<Printed>(result.eager),
                static_cast<Printed>(result.checksum));
    total.Add({reinterpret_cast<const uint8_t*>(&result.checksum), sizeof(result.checksum)});
    wrong += result.wrong;
  }
  std::printf("checksum %016llx\n", static_cast<Printed>(total.value()));
  if (!options.verify) return kExitOk;
  std::printf("verified: %llu wrong values\n", static_cast<Printed>(wrong));
  return wrong == 0 ? kExitOk : kExitWrongResults;
}

int RunOneRank(const Options& options) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Kernels that are first loaded behind a spinning collective would never arrive.
  setenv("CUDA_MODULE_LOADING", "EAGER", 0);
  Rendezvous rendezvous(options.world, options.rendezvous_fd);
  return RunRankReporting(options, options.rank, rendezvous);
}

int Main(int argc, char** argv) {
  const ParseResult parsed = ParseOptions(argc, argv);
  if (parsed.done) return kExitOk;
  const Options& options = parsed.options;
  if (options.rank >= 0) return RunOneRank(options);
  static_cast<void>(Workspace::BytesPerGeneration(options));  // refuses what is too large
  setenv("CUDA_MODULE_LOADING", "EAGER", 0);
  Rendezvous rendezvous(options.world);
  const int code =
      options.threads ? RunThreads(options, rendezvous) : RunProcesses(options, rendezvous, argv);
  return code == kExitOk ? PrintResults(options, rendezvous) : code;
}

}  // namespace
}  // namespace piecewise

int main(int argc, char** argv) {
  try {
    return piecewise::Main(argc, argv);
  } catch (const piecewise::UsageError& error) {
    std::fprintf(stderr, "piecewise_server: %s\nTry piecewise_server --help.\n", error.what());
    return piecewise::kExitUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "piecewise_server: %s\n", error.what());
    return piecewise::kExitRankDied;
  }
}
