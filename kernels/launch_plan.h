// How a call is laid out on the device: grid, block, cluster, shared memory. Pure; thread-safe.
//
// Used by the library and by the shim's swap, so that both launch the same way.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/collective_call.h"

namespace lamplight::kernels {

// kGeneral: everything; a cluster for each token. kPlain: rows that a cluster holds in registers,
// not quantised; a grid of as many clusters as fit the device (plain.cuh). kStreamed: the same
// where there are more rows than clusters, one-shot among two and four ranks (streamed.cuh); with
// more, two-shot is preferred long before.
enum class KernelForm : uint8_t { kGeneral = 0, kPlain = 1, kStreamed = 2 };
inline constexpr KernelForm kForms[] = {KernelForm::kGeneral, KernelForm::kPlain,
                                        KernelForm::kStreamed};

// One compiled kernel. `world` is 2, 4 or 8, or 0 for the kernel that takes any number of ranks.
struct KernelId {
  Kernel kernel;
  Protocol protocol;
  DataType data_type;
  uint8_t world;
  KernelForm form = KernelForm::kGeneral;

  friend bool operator==(const KernelId&, const KernelId&) = default;
};

// The general kernel for a group.
KernelId IdFor(Kernel kernel, Protocol protocol, DataType data_type, uint32_t world);
// Whether the kernel `id`, which is a general one, is compiled in this form.
bool HasForm(const KernelId& id, KernelForm form);
// The symbol of the kernel, e.g. "lamplight_oneshot_mnnvl_bf16_w2".
std::string SymbolOf(const KernelId& id);

struct DeviceLimits {
  uint32_t processors = 0;     // multiprocessors
  uint32_t compute_major = 0;  // clusters and programmatic launches from 9 on
  uint32_t share = 0;          // multiprocessors that the launch may run on; 0: all
};

struct LaunchPlan {
  KernelForm form = KernelForm::kGeneral;  // of the kernel that the plan is for
  uint32_t grid_x = 0;                     // clusters
  uint32_t grid_y = 0;                     // the blocks of a cluster
  uint32_t block = 0;
  uint32_t cluster = 1;
  uint16_t fragments = 1;  // for CollectiveCall::fragments
  uint16_t senders = 0;    // for CollectiveCall::senders
  uint32_t pace_ns = 0;    // for CollectiveCall::pace_ns
  uint32_t shared_bytes = 0;

  friend bool operator==(const LaunchPlan&, const LaunchPlan&) = default;
};

// Chooses the form too: launch the kernel `id` with `plan->form`. The same for the same arguments:
// ranks on devices alike launch alike, which their sums' order rests on; but for the number of a
// plain grid's clusters, which is that of the share and which no sum depends on. False where the
// row is too long for one cluster's shared memory.
bool PlanLaunch(const KernelId& id, uint32_t tokens, uint32_t hidden, Quantisation quantisation,
                const DeviceLimits& limits, LaunchPlan* plan);
// The same for a call whose shape and tensors are known. One that works in place is not streamed:
// a row of the input must not be overwritten before it is sent, and there others send it. That is
// for each rank to choose: a row's place in the buffers, what a call leaves there and the bits of
// its results do not depend on the form.
bool PlanLaunch(const KernelId& id, const CollectiveCall& call, const DeviceLimits& limits,
                LaunchPlan* plan);
// Whether memory of `input` is that of `output` or `residual_out`, too.
bool OverwritesInput(const CollectiveCall& call);

// Tells the call, whose shape it has, what the kernels need to know of its plan.
void SetPlan(const LaunchPlan& plan, CollectiveCall* call);

// Bytes of one generation that a call needs in every rank's buffer.
uint64_t GenerationBytes(Protocol protocol, Kernel kernel, DataType data_type, uint32_t world,
                         uint64_t tokens, uint64_t hidden);

}  // namespace lamplight::kernels
