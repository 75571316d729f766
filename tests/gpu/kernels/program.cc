#include "tests/gpu/kernels/program.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "tests/gpu/kernels/graph.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr size_t kLongestStep = 6;
constexpr uint32_t kMostReplays = 3;

void Sleep(uintptr_t microseconds) {
  std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
}

void SleepInStream(cudaStream_t stream, uint32_t microseconds) {
  void* const argument = reinterpret_cast<void*>(uintptr_t{microseconds});
  const auto sleep = [](void* time) { Sleep(reinterpret_cast<uintptr_t>(time)); };
  Check(cudaLaunchHostFunc(stream, sleep, argument), "cudaLaunchHostFunc");
}

void LaunchJobs(const Group& group, const Batch& batch, const Step& step, uint32_t rank,
                const Lateness& late) {
  for (size_t job = step.first; job < step.first + step.count; ++job) {
    const uint32_t time = late(rank, job);
    const bool in_stream = step.replays > 0 || job % 2 == 0;
    if (time > 0 && in_stream) SleepInStream(group.stream(rank), time);
    if (time > 0 && !in_stream) Sleep(time);
    batch.Launch(rank, job);
  }
}

}  // namespace

std::vector<Step> RandomSteps(size_t jobs, std::mt19937* random) {
  std::vector<Step> steps;
  for (size_t first = 0; first < jobs; first += steps.back().count) {
    const size_t count = std::min<size_t>(1 + (*random)() % kLongestStep, jobs - first);
    const uint32_t replays = (*random)() % 2 == 0 ? 0 : 1 + (*random)() % kMostReplays;
    steps.push_back({first, count, replays});
  }
  return steps;
}

uint32_t NeverLate(uint32_t, size_t) { return 0; }

void RunSteps(Group* group, const Batch& batch, const std::vector<Step>& steps,
              const Lateness& late) {
  std::vector<std::vector<Graph>> graphs(group->world());
  for (uint32_t rank = 0; rank < group->world(); ++rank) {
    group->Enter(rank);
    for (const Step& step : steps) {
      if (step.replays == 0) continue;
      graphs[rank].emplace_back(group->stream(rank),
                                [&] { LaunchJobs(*group, batch, step, rank, late); });
    }
  }
  group->watchdog().Beat("replays and eager calls");
  group->Together([&](uint32_t rank) {
    size_t graph = 0;
    for (const Step& step : steps) {
      if (step.replays == 0) {
        LaunchJobs(*group, batch, step, rank, late);
        group->pace(rank).Step();
      }
      for (uint32_t i = 0; i < step.replays; ++i) {
        graphs[rank][graph].Launch(group->stream(rank));
        group->pace(rank).Step();
      }
      graph += step.replays > 0;
    }
    Check(cudaStreamSynchronize(group->stream(rank)), "cudaStreamSynchronize");
  });
}

}  // namespace lamplight::kernels::gpu
