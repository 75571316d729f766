// The tests of this folder: each runs on groups of its own and adds to a tally. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/gpu/kernels/group.h"
#include "tests/gpu/kernels/tally.h"

namespace lamplight::kernels::gpu {

struct Settings {
  uint32_t ranks = 2;
  uint32_t seed = 1;
  bool quick = false;          // the reduced set, for sanitizers and the simulated device
  uint64_t replays = 1000000;  // soak
  uint32_t seconds = 120;      // soak
  uint32_t in_flight = 4;      // steps of a rank: see Pace
};

// Counts beyond those of a tally, by name.
using Counts = std::map<std::string, uint64_t>;

struct SuiteRun {
  const Settings& settings;
  Watchdog& watchdog;
  Tally tally;
  Counts counts;
};

void RunPatterns(SuiteRun* run);
void RunSizes(SuiteRun* run);
void RunSequences(SuiteRun* run);
void RunSkew(SuiteRun* run);
void RunInPlace(SuiteRun* run);
void RunSoak(SuiteRun* run);

inline constexpr Protocol kProtocols[] = {Protocol::kEpoch, Protocol::kMnnvl};
inline constexpr Kernel kKernels[] = {Kernel::kOneShot, Kernel::kTwoShot};
inline constexpr DataType kEveryType[] = {DataType::kBf16, DataType::kFp16, DataType::kFp32};

// Trouble that no call should have met counts as wrong.
inline void CountTroubles(const Group& group, SuiteRun* run) {
  const std::string troubles = group.Troubles();
  if (!troubles.empty()) run->tally.Wrong(troubles);
  run->counts["refused_streams"] += group.refused_streams();
}

}  // namespace lamplight::kernels::gpu
