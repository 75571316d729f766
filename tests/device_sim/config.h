// Settings of the simulated device, read once from the environment. Thread-safe: immutable.
#pragma once

#include <cstdint>
#include <optional>

namespace device_sim {

// What an asynchronous copy from device to host does while a kernel polls
// (LAMPLIGHT_SIM_SIDE_CHANNEL).
enum class SideChannel { kWorks, kBlocks, kFails };

struct Config {
  int devices = 1;
  SideChannel side_channel = SideChannel::kWorks;
  // The first use of a kernel waits behind polling ones, as on real devices
  // (LAMPLIGHT_SIM_LAZY_LOADING=1).
  bool lazy_loading = false;
  // Graphs with more nodes are refused when they are instantiated; 0: none
  // (LAMPLIGHT_SIM_MAX_NODES).
  int max_nodes = 0;
  // Another tool has CUPTI's one subscription (LAMPLIGHT_SIM_CUPTI_TAKEN=1).
  bool cupti_taken = false;
};

// Empty where the environment is malformed; the reason was then printed once on stderr.
const std::optional<Config>& TheConfig();

}  // namespace device_sim
