// `in_place`: outputs in the place of inputs, of few rows and of more than the device has clusters
// for, by ranks that keep step and by ranks that do not.
#include <algorithm>

#include "kernels/launch_plan.h"
#include "tests/gpu/kernels/check.h"
#include "tests/gpu/kernels/program.h"
#include "tests/gpu/kernels/random_jobs.h"
#include "tests/gpu/kernels/suite.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr uint64_t kMebi = 1 << 20;
constexpr uint32_t kFew = 7;

constexpr InPlace kPlaces[] = {InPlace::kOutputOverInput, InPlace::kSumsOverInput,
                               InPlace::kSumsOverResidual, InPlace::kOutputOverResidual};

// More rows than a plain grid has clusters, and no multiple: out of place, one-shot calls of two
// and four ranks are streamed then.
uint32_t ManyTokens(const Work& work, Protocol protocol, uint32_t world) {
  int processors = 0, major = 0;
  Check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0), "attribute");
  Check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "attribute");
  LaunchPlan plan;
  PlanLaunch(IdFor(work.kernel, protocol, work.data_type, world), 1u << 16, work.hidden,
             work.quantisation, {static_cast<uint32_t>(processors), static_cast<uint32_t>(major)},
             &plan);
  return 2 * plan.grid_x + 5;
}

// Every other call of each rank, by up to 3 ms: long enough for a peer to be done with all else.
uint32_t OftenLate(uint32_t rank, size_t job) {
  std::mt19937 random(static_cast<uint32_t>(1 + rank * 7919 + job));
  return random() % 2 == 0 ? 0 : 1 + random() % 3000;
}

class Jobs {
 public:
  Jobs(SuiteRun* run, Group* group) : run_(run), group_(group), batch_(group) {}

  void Add(Job job, uint32_t tokens) {
    job.work.tokens = std::min(tokens, group_->MaxTokens(job.work));
    run_->counts["long"] += tokens > kFew && job.work.tokens == tokens;
    std::vector<Tensors> tensors = InputsFor(job, group_->world(), run_->settings.seed + ++jobs_);
    batch_.AddOrFlush(job, std::move(tensors), [this] { Flush(); });
  }
  // Eager and in graphs, in step and not.
  void Flush() {
    Run(1, OftenLate);
    if (!run_->settings.quick) {
      Run(0, OftenLate);
      Run(2, NeverLate);
      Run(0, NeverLate);
    }
    batch_.Clear();
  }

 private:
  void Run(uint32_t replays, const Lateness& late) {
    run_->watchdog.Beat("in place");
    RunSteps(group_, batch_, {{0, batch_.size(), replays}}, late);
    batch_.Judge(&run_->tally);
  }

  SuiteRun* const run_;
  Group* const group_;
  Batch batch_;
  uint32_t jobs_ = 0;
};

void AddJobs(const SuiteRun& run, Protocol protocol, Jobs* jobs) {
  for (const Kernel kernel : kKernels) {
    for (const InPlace place : kPlaces) {
      for (const bool norm : {false, true}) {
        if (!norm && place != InPlace::kOutputOverInput) continue;
        Job job{.work = {.kernel = kernel, .hidden = 4096, .norm = norm}, .in_place = place};
        jobs->Add(job, kFew);
        // Fibers take long for it.
        const bool quick = run.settings.quick && (norm || kernel != Kernel::kOneShot);
        if (!quick) jobs->Add(job, ManyTokens(job.work, protocol, run.settings.ranks));
      }
    }
  }
}

}  // namespace

void RunInPlace(SuiteRun* run) {
  for (const Protocol protocol : kProtocols) {
    const GroupOptions options{.world = run->settings.ranks,
                               .protocol = protocol,
                               .generation_bytes = 8ull * run->settings.ranks * kMebi,
                               .memory_bytes = 256 * kMebi,
                               .in_flight = run->settings.in_flight};
    Group group(options, &run->watchdog);
    Jobs jobs(run, &group);
    AddJobs(*run, protocol, &jobs);
    jobs.Flush();
    CountTroubles(group, run);
  }
}

}  // namespace lamplight::kernels::gpu
