// How long one collective of ours takes in a graph of many, by size: a fast look at a change of the
// kernels, without Python and without peers (tests/bench/kernels has those). Results are not
// checked here. Prints a line for each protocol, algorithm and hidden size, one figure for each
// count of tokens: the median over replays, of the slowest rank, in microseconds.
//
// Exit status: 0 measured, 2 usage, 3 a hang, 77 no GPU here.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/gpu/kernels/check.h"
#include "tests/gpu/kernels/graph.h"
#include "tests/gpu/kernels/group.h"
#include "tests/gpu/kernels/job.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr int kExitUsage = 2;
constexpr int kExitNoGpu = 77;
constexpr uint32_t kOperations = 64;  // in a graph
constexpr uint32_t kUntimed = 2;      // first replays, in which ranks that began apart meet

struct Options {
  uint32_t ranks = 0;
  uint32_t replays = 20;
  std::vector<std::string> protocols = {"epoch", "mnnvl"};
  std::vector<std::string> algorithms = {"one-shot", "two-shot"};
  std::vector<uint32_t> hidden = {2880, 4096, 8192};
  std::vector<uint32_t> tokens = {1, 4, 16, 64, 128, 256, 1024};
  std::string label;
  bool plain_edges = false;
  bool promise_nothing = false;
};

class Event {
 public:
  Event() { Check(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void Record(cudaStream_t stream) const { Check(cudaEventRecord(event_, stream), "an event"); }
  float MicrosecondsSince(const Event& begin) const {
    float milliseconds = 0;
    Check(cudaEventElapsedTime(&milliseconds, begin.event_, event_), "cudaEventElapsedTime");
    return milliseconds * 1000;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

// Of one operation, on one rank.
float TimeRank(const Group& group, const Job& job, const Options& options, const Graph& graph,
               uint32_t rank) {
  const cudaStream_t stream = group.stream(rank);
  const std::vector<Event> events(options.replays + 1);
  for (uint32_t i = 0; i < kUntimed; ++i) graph.Launch(stream);
  for (uint32_t i = 0; i <= options.replays; ++i) {
    events[i].Record(stream);
    if (i < options.replays) graph.Launch(stream);
  }
  Check(cudaStreamSynchronize(stream), Describe(job).c_str());
  std::vector<float> times;
  for (uint32_t i = 0; i < options.replays; ++i) {
    times.push_back(events[i + 1].MicrosecondsSince(events[i]) / kOperations);
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

float TimeJob(Group* group, const Job& job, const Options& options) {
  const Placement at = Place(job, 0);
  std::vector<Graph> graphs;
  for (uint32_t rank = 0; rank < group->world(); ++rank) {
    group->Enter(rank);
    const lamplight_call call = CallOf(job, at, group->memory(rank));
    graphs.emplace_back(group->stream(rank), [&] {
      for (uint32_t i = 0; i < kOperations; ++i) {
        Check(lamplight_all_reduce(group->workspace(rank), &call, group->stream(rank)),
              Describe(job));
      }
    });
  }
  group->watchdog().Beat(Describe(job));
  std::vector<float> times(group->world());
  group->Together(
      [&](uint32_t rank) { times[rank] = TimeRank(*group, job, options, graphs[rank], rank); });
  return *std::max_element(times.begin(), times.end());
}

Job JobOf(const Options& options, const std::string& algorithm, uint32_t hidden, uint32_t tokens) {
  Job job;
  job.work.kernel = algorithm == "two-shot" ? Kernel::kTwoShot : Kernel::kOneShot;
  job.automatic = algorithm == "auto";
  job.work.tokens = tokens;
  job.work.hidden = hidden;
  job.work.data_type = DataType::kBf16;
  job.pdl = !options.plain_edges;
  job.followers_wait = !options.promise_nothing;
  return job;
}

Work LargestOf(const Options& options) {
  return {.data_type = DataType::kBf16,
          .tokens = *std::max_element(options.tokens.begin(), options.tokens.end()),
          .hidden = *std::max_element(options.hidden.begin(), options.hidden.end())};
}

// Room for either algorithm of either protocol.
uint64_t GenerationFor(const Options& options) {
  const Work largest = LargestOf(options);
  uint64_t most = 0;
  for (const Kernel kernel : {Kernel::kOneShot, Kernel::kTwoShot}) {
    most = std::max(most, GenerationBytes(Protocol::kEpoch, kernel, largest.data_type,
                                          options.ranks, largest.tokens, largest.hidden));
  }
  return most;
}

void Measure(const Options& options, Watchdog* watchdog) {
  for (const std::string& protocol : options.protocols) {
    GroupOptions shape;
    shape.world = options.ranks;
    shape.protocol = protocol == "epoch" ? Protocol::kEpoch : Protocol::kMnnvl;
    shape.generation_bytes = GenerationFor(options);
    shape.memory_bytes = Place({.work = LargestOf(options)}, 0).end;
    Group group(shape, watchdog);
    for (const std::string& algorithm : options.algorithms) {
      for (const uint32_t hidden : options.hidden) {
        std::printf("%-12s %-6s %-9s %5u:", options.label.c_str(), protocol.c_str(),
                    algorithm.c_str(), hidden);
        for (const uint32_t tokens : options.tokens) {
          std::printf(" %7.2f",
                      TimeJob(&group, JobOf(options, algorithm, hidden, tokens), options));
        }
        std::printf("\n");
        std::fflush(stdout);
      }
    }
  }
}

int Main(int argc, char** argv) {
  setenv("CUDA_MODULE_LOADING", "EAGER", 1);
  Options options;
  uint32_t hang_seconds = 20;
  CLI::App app("Times liblamplight_kernels on GPUs; ranks are threads of this process.");
  app.footer("Exit status: 0 measured, 2 usage, 3 a hang, 77 no GPU here.");
  app.add_option("--ranks", options.ranks, "default: as many as there are GPUs, 2 at least")
      ->check(CLI::IsMember({2, 4, 8}));
  app.add_option("--protocols", options.protocols)->check(CLI::IsMember({"epoch", "mnnvl"}));
  app.add_option("--algorithms", options.algorithms)
      ->check(CLI::IsMember({"one-shot", "two-shot", "auto"}));
  app.add_option("--hidden", options.hidden)->check(CLI::PositiveNumber);
  app.add_option("--tokens", options.tokens)->check(CLI::PositiveNumber);
  app.add_option("--replays", options.replays)->check(CLI::Range(1, 10000));
  app.add_option("--label", options.label, "first on each line");
  app.add_option("--hang-seconds", hang_seconds)->check(CLI::PositiveNumber);
  app.add_flag("--plain-edges", options.plain_edges, "no programmatic launches");
  app.add_flag("--promise-nothing", options.promise_nothing, "followers_wait is 0");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (CountDevices() == 0) {
    std::printf("SKIPPED: there is no GPU on this machine\n");
    return kExitNoGpu;
  }
  if (options.ranks == 0) options.ranks = RanksFor(CountDevices());
  Watchdog watchdog(hang_seconds);
  Measure(options, &watchdog);
  return 0;
}

}  // namespace
}  // namespace lamplight::kernels::gpu

int main(int argc, char** argv) try {
  return lamplight::kernels::gpu::Main(argc, argv);
} catch (const std::exception& error) {
  std::fprintf(stderr, "kernel_times: %s\n", error.what());
  return 1;
}
