// What the golden traces hold: two ranks, eight replays, the last of which hangs on both. No state.
#pragma once

#include "tests/unit/analyzer_reader/scenario.h"

namespace lamplight::testing {

// Of the newest version.
inline Scenario GoldenScenario(uint32_t rank) {
  Scenario scenario;
  scenario.rank = rank;
  scenario.pid = 5000 + rank;
  scenario.replays = 8;
  scenario.ring_bytes = 4096;
  scenario.job = "golden";
  scenario.since_1_1 = true;
  scenario.since_1_2 = true;
  scenario.since_1_3 = true;
  scenario.since_1_4 = true;
  scenario.since_1_5 = true;
  return scenario;
}

}  // namespace lamplight::testing
