#include "kernels/launch_plan.h"

#include <algorithm>

#include "kernels/packet_layout.h"
#include "kernels/protocol.cuh"

namespace lamplight::kernels {
namespace {

constexpr uint32_t kMaxCluster = 8;              // what every device with clusters can do
constexpr uint32_t kMaxSharedBytes = 96 * 1024;  // sm_80 and later, by opting in

constexpr const char* kKernelNames[] = {"oneshot", "twoshot", "sends", "norm"};
constexpr const char* kProtocolNames[] = {"mnnvl", "unicast", "epoch"};
constexpr const char* kTypeNames[] = {"fp16", "bf16", "fp32"};

constexpr uint32_t RoundUp(uint32_t value, uint32_t step) {
  return (value + step - 1) / step * step;
}

// A row's threads go to as many blocks as keep each at 128 threads or more, as long as the device
// has room for all blocks at once.
uint32_t ClusterFor(uint32_t slots, uint32_t tokens, const DeviceLimits& limits) {
  if (limits.compute_major < 9) return 1;
  uint32_t cluster = 1;
  while (cluster < kMaxCluster) {
    const bool too_long = slots > cluster * kMaxBlockThreads;
    const bool spreads =
        slots / (2 * cluster) >= 128 && uint64_t{tokens} * cluster * 2 <= limits.processors;
    if (!too_long && !spreads) break;
    cluster *= 2;
  }
  return cluster;
}

}  // namespace

KernelId IdFor(Kernel kernel, Protocol protocol, DataType data_type, uint32_t world) {
  const bool compiled = world == 2 || world == 4 || world == 8;
  // The norm reads sums: it does not depend on the number of ranks.
  const bool any = !compiled || kernel == Kernel::kTwoShotNorm;
  return {kernel, protocol, data_type, static_cast<uint8_t>(any ? 0 : world)};
}

std::string SymbolOf(const KernelId& id) {
  return std::string("lamplight_") + kKernelNames[static_cast<int>(id.kernel)] + "_" +
         kProtocolNames[static_cast<int>(id.protocol)] + "_" +
         kTypeNames[static_cast<int>(id.data_type)] + "_w" + std::to_string(id.world);
}

bool PlanLaunch(const KernelId& id, uint32_t tokens, uint32_t hidden, Quantisation quantisation,
                const DeviceLimits& limits, LaunchPlan* plan) {
  const uint32_t row_bytes = hidden * BytesOf(id.data_type);
  const PacketLayout layout = LayoutOf(id.protocol);
  const uint32_t slots = layout.Slots(row_bytes);
  plan->cluster = ClusterFor(slots, tokens, limits);
  plan->grid_x = tokens;
  plan->grid_y = plan->cluster;
  const uint32_t per_block = (slots + plan->cluster - 1) / plan->cluster;
  const uint32_t elements = layout.unit_bytes / BytesOf(id.data_type);
  // Whole pairs of warps, so that a quantisation group never spans two blocks: 15 units of each of
  // four lines are whole groups of 16 elements if a unit has four elements, but not if it has two.
  const uint32_t step = layout.lines && elements == 2 ? 128 : 64;
  plan->block = std::min(RoundUp(per_block, step), kMaxBlockThreads);
  const uint32_t threads = plan->block * plan->cluster;
  plan->fragments = (slots + threads - 1) / threads;
  plan->shared_bytes = (plan->fragments - 1) * plan->block * layout.unit_bytes;
  if (quantisation == Quantisation::kNvfp4) plan->shared_bytes += plan->block * elements * 4;
  return plan->shared_bytes <= kMaxSharedBytes;
}

uint64_t GenerationBytes(Protocol protocol, Kernel kernel, DataType data_type, uint32_t world,
                         uint64_t tokens, uint64_t hidden) {
  const uint64_t row = LayoutOf(protocol).RowBytes(hidden * BytesOf(data_type));
  if (kernel == Kernel::kOneShot) return tokens * world * row;
  // Two stages of equal size; the first is the larger one.
  const uint64_t owned = (tokens + world - 1) / world;
  return 2 * owned * world * row;
}

}  // namespace lamplight::kernels
