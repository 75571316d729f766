// One rank's trace with every record type in it: a captured graph of two all-reduce nodes, replays,
// an eager call, and, where asked, a hang with its evidence. For one thread.
#pragma once

#include <cstdint>

#include "tests/unit/analyzer_reader/trace_builder.h"

namespace lamplight::testing {

struct Scenario {
  uint32_t rank = 0;
  uint32_t world = 2;
  uint32_t pid = 4000;
  uint32_t ppid = 3999;
  uint32_t replays = 6;
  bool hang = true;        // the last replay hangs
  bool hang_ends = false;  // and completes after all
  uint64_t ring_bytes = 32768;
  const char* job = "job-1";
  const char* host = "host-a";
  uint8_t boot = 1;                                  // first byte of the boot id
  uint64_t realtime_ns = 1'700'000'000'000'000'000;  // at monotonic time 0
  uint64_t start_ns = 1'000'000'000;
  int32_t env_rank = -1;
  int32_t env_world = -1;
  bool since_1_1 = false;  // with the records that 1.1 has added
  bool since_1_2 = false;
  bool since_1_3 = false;
  bool since_1_4 = false;
  bool since_1_5 = false;
};

inline constexpr uint32_t kScenarioTokens = 8;
inline constexpr uint32_t kScenarioDim = 64;

TraceBuilder BuildScenario(const Scenario& scenario);

}  // namespace lamplight::testing
