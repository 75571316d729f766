// The kernels library through its public C API on GPUs, ranks as threads of this process. Prints
// one line of JSON. See --help.
//
// Exit status: 0 nothing was wrong, 1 something was, 2 usage, 3 a hang, 77 no GPU here.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "tests/gpu/kernels/check.h"
#include "tests/gpu/kernels/compare.h"
#include "tests/gpu/kernels/suite.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr int kExitWrong = 1;
constexpr int kExitUsage = 2;
constexpr int kExitNoGpu = 77;

struct Command {
  const char* name;
  const char* text;
  void (*run)(SuiteRun*);
};

constexpr Command kCommands[] = {
    {"patterns", "every 16-bit pattern in every lane, fp32's special values", RunPatterns},
    {"sizes", "rows, tokens and capacities at every edge, all dtypes and outputs", RunSizes},
    {"sequences", "calls of any kind in any order on one workspace", RunSequences},
    {"skew", "the same with ranks late by up to 50 ms, and the report of it", RunSkew},
    {"in_place", "outputs over inputs, few and many rows, ranks in step and late", RunInPlace},
    {"soak", "many replays of random graphs, every output compared", RunSoak},
};

std::string DeviceName() {
  cudaDeviceProp properties;
  Check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  return properties.name;
}

int Report(const Command& command, const SuiteRun& run, double seconds) {
  nlohmann::ordered_json line = {{"command", command.name},
                                 {"ranks", run.settings.ranks},
                                 {"devices", CountDevices()},
                                 {"device", DeviceName()},
                                 {"simulated", IsSimulated()},
                                 {"quick", run.settings.quick},
                                 {"seed", run.settings.seed},
                                 {"calls_checked", run.tally.calls},
                                 {"values_checked", run.tally.values},
                                 {"wrong", run.tally.wrong}};
  for (const auto& [name, count] : run.counts) line[name] = count;
  line["seconds"] = seconds;
  if (run.tally.wrong > 0) line["first_wrong"] = run.tally.first_wrong;
  std::cout << line.dump() << std::endl;
  return run.tally.wrong > 0 ? kExitWrong : 0;
}

int RunCommand(const Command& command, const Settings& settings, uint32_t hang_seconds) {
  const auto begin = std::chrono::steady_clock::now();
  Watchdog watchdog(hang_seconds);
  SuiteRun run{settings, watchdog, {}, {}};
  try {
    command.run(&run);
  } catch (const std::exception& error) {
    run.tally.Wrong(error.what());
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  return Report(command, run, passed.count());
}

int Main(int argc, char** argv) {
  // A kernel that is first launched while another polls would wait for it to be loaded for ever.
  setenv("CUDA_MODULE_LOADING", "EAGER", 1);
  // Streams that share one of the device's queues do not run beside each other (see
  // MeetingStreams).
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
  Settings settings;
  settings.ranks = 0;
  settings.quick = IsSimulated();
  uint32_t hang_seconds = 30;
  CLI::App app("Checks liblamplight_kernels on GPUs; ranks are threads of this process.");
  app.footer("Exit status: 0 nothing wrong, 1 something is, 2 usage, 3 a hang, 77 no GPU here.");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--ranks", settings.ranks, "2, 4, 8, …; rank r on device r mod devices")
      ->check(CLI::IsMember({2, 4, 8, 16, 32, 64}));
  app.add_option("--seed", settings.seed, "of all random choices");
  app.add_option("--replays", settings.replays, "soak: how many")->check(CLI::PositiveNumber);
  app.add_option("--seconds", settings.seconds, "soak: at most so long")
      ->check(CLI::PositiveNumber);
  app.add_option("--in-flight", settings.in_flight, "steps of a rank before it waits")
      ->check(CLI::Range(1, 1024));
  app.add_option("--hang-seconds", hang_seconds, "without progress, end with status 3")
      ->check(CLI::PositiveNumber);
  app.add_flag("--quick", settings.quick, "a reduced set; the default on the simulated device");
  for (const Command& command : kCommands) app.add_subcommand(command.name, command.text);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (CountDevices() == 0) {
    std::cout << "SKIPPED: there is no GPU on this machine" << std::endl;
    return kExitNoGpu;
  }
  if (settings.ranks == 0) settings.ranks = RanksFor(CountDevices());
  const std::string name = app.get_subcommands().front()->get_name();
  for (const Command& command : kCommands) {
    if (name == command.name) return RunCommand(command, settings, hang_seconds);
  }
  return kExitUsage;
}

}  // namespace
}  // namespace lamplight::kernels::gpu

int main(int argc, char** argv) try {
  return lamplight::kernels::gpu::Main(argc, argv);
} catch (const std::exception& error) {
  std::fprintf(stderr, "kernels_gpu: %s\n", error.what());
  return 1;
}
