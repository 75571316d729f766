// One launch of a program, on the launching stream's thread.
//
// Ready steps run one after the other; when one polls or waits, another thread carries on with the
// rest, so that no step can starve one that it depends on through memory.
#pragma once

#include <memory>

#include "tests/device_sim/program.h"

namespace device_sim {

// The markers that the launch's event-record steps will set: made, and pending, at the launch.
struct LaunchRecords {
  std::unordered_map<uint32_t, MarkerRef> by_step;
};
LaunchRecords RecordEventsPending(const Program& program);

// Runs all steps; returns when the last has ended.
Status RunProgram(Device& device, std::shared_ptr<const Program> program, LaunchRecords records);

}  // namespace device_sim
