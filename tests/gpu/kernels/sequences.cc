// `sequences` and `skew`: calls of any kind in any order on one workspace, eager and captured, by
// ranks that keep step and by ranks that do not.
#include <algorithm>

#include "tests/gpu/kernels/check.h"
#include "tests/gpu/kernels/program.h"
#include "tests/gpu/kernels/random_jobs.h"
#include "tests/gpu/kernels/suite.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr uint64_t kMebi = 1 << 20;
constexpr uint32_t kMostLate = 50000;  // microseconds

struct Plan {
  uint32_t rounds;  // for each protocol
  uint32_t jobs;    // of a round
  uint64_t max_elements;
  uint64_t generation_bytes;
};

Plan PlanFor(const Settings& settings) {
  if (settings.quick) return {2, 16, 4096, kMebi / 4};
  return {20, 60, 64 * 1024, 8 * kMebi};
}

GroupOptions OptionsFor(const Settings& settings, const Plan& plan, Protocol protocol) {
  return {.world = settings.ranks,
          .protocol = protocol,
          .generation_bytes = plan.generation_bytes,
          .memory_bytes = (settings.quick ? 4 : 256) * kMebi,
          .in_flight = settings.in_flight};
}

void FillBatch(const Group& group, const Plan& plan, std::mt19937* random, Batch* batch) {
  for (uint32_t i = 0; i < plan.jobs; ++i) {
    const Job job = RandomJob(group, plan.max_elements, random);
    if (!batch->Add(job, InputsFor(job, group.world(), (*random)()))) return;
  }
}

void RunRounds(SuiteRun* run, const Plan& plan, const Lateness& late) {
  for (const Protocol protocol : kProtocols) {
    std::mt19937 random(run->settings.seed);
    Group group(OptionsFor(run->settings, plan, protocol), &run->watchdog);
    for (uint32_t round = 0; round < plan.rounds; ++round) {
      run->watchdog.Beat("round " + std::to_string(round));
      Batch batch(&group);
      FillBatch(group, plan, &random, &batch);
      const std::vector<Step> steps = RandomSteps(batch.size(), &random);
      RunSteps(&group, batch, steps, late);
      batch.Judge(&run->tally);
      for (const Step& step : steps) run->counts["graph_replays"] += step.replays;
    }
    CountTroubles(group, run);
  }
}

// A fixed quarter of a rank's calls is late, most of them a little.
uint32_t SometimesLate(uint32_t rank, size_t job) {
  std::mt19937 random(static_cast<uint32_t>(1 + rank * 7919 + job));
  if (random() % 4 != 0) return 0;
  return 1 + random() % (random() % 4 == 0 ? kMostLate : 300);
}

// Bounded polling speaks, and the results are right all the same.
void CheckReports(SuiteRun* run) {
  constexpr uint32_t kTimeoutMs = 20;
  // Microseconds: a starved simulated device looks at the clock rarely.
  constexpr uint32_t kLate = 2000000;
  GroupOptions options = OptionsFor(run->settings, PlanFor(run->settings), Protocol::kEpoch);
  options.timeout_ms = kTimeoutMs;
  for (const Protocol protocol : kProtocols) {
    options.protocol = protocol;
    Group group(options, &run->watchdog);
    Batch batch(&group);
    const Job job{.work = {.tokens = 2, .hidden = 64}};
    batch.Add(job, InputsFor(job, group.world(), run->settings.seed));
    RunSteps(&group, batch, {{0, 1, 1}},
             [](uint32_t rank, size_t) { return rank == 1 ? kLate : 0; });
    batch.Judge(&run->tally);
    lamplight_trouble trouble{};
    trouble.struct_size = sizeof trouble;
    Check(lamplight_workspace_query(group.workspace(0), &trouble), "lamplight_workspace_query");
    const bool right = trouble.kind == LAMPLIGHT_TROUBLE_TIMEOUT && trouble.peer == 1 &&
                       trouble.waited_ns >= kTimeoutMs * 1000000ull;
    if (right) ++run->counts["timeouts_reported"];
    if (!right) run->tally.Wrong("rank 0 does not report that rank 1 is late: " + group.Troubles());
  }
}

}  // namespace

void RunSequences(SuiteRun* run) { RunRounds(run, PlanFor(run->settings), NeverLate); }

void RunSkew(SuiteRun* run) {
  Plan plan = PlanFor(run->settings);
  plan.rounds = std::min(plan.rounds, 4u);
  RunRounds(run, plan, SometimesLate);
  CheckReports(run);
}

}  // namespace lamplight::kernels::gpu
