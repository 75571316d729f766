#include "kernels/launch_plan.h"

#include <algorithm>

#include "kernels/packet_layout.h"
#include "kernels/protocol.cuh"
#include "kernels/tuning.h"

namespace lamplight::kernels {
namespace {

constexpr uint32_t kMaxCluster = 8;              // what every device with clusters can do
constexpr uint32_t kMaxSharedBytes = 96 * 1024;  // sm_80 and later, by opting in

constexpr uint32_t kLeastGeneralThreads = 128;
constexpr uint32_t kLeastPlainThreads = 64;
constexpr uint32_t kSendingPart = 5;  // at most one multiprocessor of so many only sends

constexpr const char* kKernelNames[] = {"oneshot", "twoshot", "sends", "norm"};
constexpr const char* kProtocolNames[] = {"mnnvl", "unicast", "epoch", "unicastwords"};
constexpr const char* kTypeNames[] = {"fp16", "bf16", "fp32"};
constexpr const char* kFormNames[] = {"", "_plain", "_streamed"};

constexpr uint32_t RoundUp(uint32_t value, uint32_t step) {
  return (value + step - 1) / step * step;
}

uint32_t LargestCluster(const DeviceLimits& limits) {
  return limits.compute_major < 9 ? 1 : kMaxCluster;
}

// A row's threads go to as many blocks as keep each at `least` threads or more, as long as the
// device has room for all blocks at once.
uint32_t ClusterFor(uint32_t slots, uint32_t tokens, uint32_t most, uint32_t least,
                    const DeviceLimits& limits) {
  uint32_t cluster = 1;
  while (cluster < LargestCluster(limits)) {
    const bool too_long = slots > cluster * most;
    const bool spreads =
        slots / (2 * cluster) >= least && uint64_t{tokens} * cluster * 2 <= limits.processors;
    if (!too_long && !spreads) break;
    cluster *= 2;
  }
  return cluster;
}

// Threads of plain kernels that a multiprocessor holds, by their registers.
uint32_t PlainThreads(const KernelId& id) {
  return id.world == 2 || id.world == 4 ? ThreadsWith(kPlainRegisters) : kMaxPlainThreads;
}

uint32_t PlainBlock(uint32_t slots, uint32_t cluster) {
  return RoundUp((slots + cluster - 1) / cluster, 32);
}

// That the launch may run on.
uint32_t Processors(const DeviceLimits& limits) {
  return limits.share != 0 ? limits.share : limits.processors;
}

// Clusters that run at once.
uint32_t ResidentClusters(const KernelId& id, const LaunchPlan& plan, const DeviceLimits& limits) {
  return Processors(limits) * (PlainThreads(id) / plan.block) / plan.cluster;
}

// Clusters of a plain grid. In two-shot their number is odd where a cluster has several tokens:
// they are that far apart, ranks own every W-th, and W is even. All of a cluster's tokens would
// have the same owner otherwise, and a few clusters add up everything.
uint32_t PlainClusters(const KernelId& id, uint32_t tokens, uint32_t resident) {
  if (tokens <= resident) return tokens;
  return id.kernel == Kernel::kTwoShot ? resident - (resident % 2 == 0 ? 1 : 0) : resident;
}

void PlanPlain(const KernelId& id, uint32_t tokens, uint32_t slots, const DeviceLimits& limits,
               LaunchPlan* plan) {
  *plan = {};
  plan->form = KernelForm::kPlain;
  plan->cluster = ClusterFor(slots, tokens, kMaxPlainThreads, kLeastPlainThreads, limits);
  plan->block = PlainBlock(slots, plan->cluster);
  plan->grid_y = plan->cluster;
  const uint32_t resident = std::max(ResidentClusters(id, *plan, limits), 1u);
  plan->grid_x = PlainClusters(id, tokens, resident);
}

// Where there are more rows than a plain grid has clusters, some of them only send. The size of the
// clusters stays: the order of a norm's sum is the same in both forms. Not on a share of a device,
// where ranks that have the other shares are not behind a link: there it is slower.
void PlanStreamed(const KernelId& id, uint32_t tokens, uint32_t row_bytes,
                  const DeviceLimits& limits, LaunchPlan* plan) {
  const bool several = tokens > plan->grid_x;
  if (!HasForm(id, KernelForm::kStreamed) || !several) return;
  if (Processors(limits) < limits.processors) return;
  const Stream stream = StreamOf(id.protocol != Protocol::kEpoch, limits.compute_major);
  const uint32_t blocks = std::min(stream.blocks, limits.processors / kSendingPart);
  const uint32_t senders = std::max(blocks / plan->cluster, 1u);
  if (senders >= plan->grid_x) return;
  plan->form = KernelForm::kStreamed;
  plan->senders = static_cast<uint16_t>(senders);
  plan->pace_ns = PaceNs(stream, LayoutOf(id.protocol).RowBytes(row_bytes), id.world - 1u, senders);
}

void PlanGeneral(const KernelId& id, uint32_t tokens, uint32_t slots, Quantisation quantisation,
                 const DeviceLimits& limits, LaunchPlan* plan) {
  *plan = {};
  plan->cluster = ClusterFor(slots, tokens, kMaxBlockThreads, kLeastGeneralThreads, limits);
  plan->grid_x = tokens;
  plan->grid_y = plan->cluster;
  const uint32_t per_block = (slots + plan->cluster - 1) / plan->cluster;
  // Whole pairs of warps, so that a quantisation group never spans two blocks.
  plan->block = std::min(RoundUp(per_block, 64), kMaxBlockThreads);
  const uint32_t threads = plan->block * plan->cluster;
  plan->fragments = static_cast<uint16_t>((slots + threads - 1) / threads);
  plan->shared_bytes = (plan->fragments - 1) * plan->block * kUnitBytes;
  const uint32_t elements = kUnitBytes / BytesOf(id.data_type);
  if (quantisation == Quantisation::kNvfp4) plan->shared_bytes += plan->block * elements * 4;
}

struct Planned {
  uint32_t tokens;
  uint32_t hidden;
  Quantisation quantisation;
  bool in_place;
};

bool Plan(const KernelId& id, const Planned& call, const DeviceLimits& limits, LaunchPlan* plan) {
  const uint32_t row_bytes = call.hidden * BytesOf(id.data_type);
  const uint32_t slots = LayoutOf(id.protocol).Slots(row_bytes);
  const bool fits = slots <= LargestCluster(limits) * kMaxPlainThreads;
  if (HasForm(id, KernelForm::kPlain) && call.quantisation == Quantisation::kNone && fits) {
    PlanPlain(id, call.tokens, slots, limits, plan);
    if (!call.in_place) PlanStreamed(id, call.tokens, row_bytes, limits, plan);
  } else {
    PlanGeneral(id, call.tokens, slots, call.quantisation, limits, plan);
  }
  return plan->shared_bytes <= kMaxSharedBytes;
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
         kTypeNames[static_cast<int>(id.data_type)] + "_w" + std::to_string(id.world) +
         kFormNames[static_cast<int>(id.form)];
}

bool HasForm(const KernelId& id, KernelForm form) {
  const bool one_shot = id.kernel == Kernel::kOneShot;
  if (form == KernelForm::kGeneral) return true;
  if (form == KernelForm::kPlain) return one_shot || id.kernel == Kernel::kTwoShot;
  return one_shot && (id.world == 2 || id.world == 4);
}

bool OverwritesInput(const CollectiveCall& call) {
  const uint64_t bytes = uint64_t{call.tokens} * call.hidden * BytesOf(call.data_type);
  const auto input = reinterpret_cast<uintptr_t>(call.input);
  const auto overlaps = [&](const void* output) {
    const auto begin = reinterpret_cast<uintptr_t>(output);
    return output != nullptr && begin < input + bytes && input < begin + bytes;
  };
  return overlaps(call.output) || overlaps(call.residual_out);
}

bool PlanLaunch(const KernelId& id, uint32_t tokens, uint32_t hidden, Quantisation quantisation,
                const DeviceLimits& limits, LaunchPlan* plan) {
  return Plan(id, {tokens, hidden, quantisation, false}, limits, plan);
}

bool PlanLaunch(const KernelId& id, const CollectiveCall& call, const DeviceLimits& limits,
                LaunchPlan* plan) {
  return Plan(id, {call.tokens, call.hidden, call.quantisation, OverwritesInput(call)}, limits,
              plan);
}

void SetPlan(const LaunchPlan& plan, CollectiveCall* call) {
  call->inverse_hidden = 1.0f / static_cast<float>(call->hidden);
  call->fragments = plan.fragments;
  call->senders = plan.senders;
  call->pace_ns = plan.pace_ns;
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
