// The shim's only kernel: copies the flag words of up to four workspaces into the host-mapped ring.
//
// One warp. It runs on a branch of its own in the host's graphs, so it may be slow; it may never wait.
#include "shim/snapshot_args.h"

namespace lamplight::shim {
namespace {

__device__ uint64_t GlobalTimer() {
  uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

__device__ const volatile uint32_t* Words(const SnapshotSource& source) {
  if (!source.indirect) return reinterpret_cast<const volatile uint32_t*>(source.address);
  const auto* slot = reinterpret_cast<const volatile uint64_t*>(source.address);
  return reinterpret_cast<const volatile uint32_t*>(*slot);
}

// `run` is known to lane 0 only.
__device__ void Copy(const SnapshotArgs& args, const SnapshotSource& source, uint64_t run) {
  const uint32_t lane = threadIdx.x;
  auto* tickets = reinterpret_cast<unsigned long long*>(args.tickets);
  unsigned long long ticket = 0;
  if (lane == 0) ticket = atomicAdd(tickets, 1ull);
  ticket = __shfl_sync(0xffffffffu, ticket, 0);
  auto* slot = reinterpret_cast<SnapshotSlot*>(args.ring) + (ticket & args.mask);
  volatile SnapshotSlot* out = slot;
  if (lane == 0) {
    out->sequence = 0;
    __threadfence_system();
  }
  __syncwarp();
  if (lane < source.words && lane < kSnapshotWords) out->word[lane] = Words(source)[lane];
  if (lane == 0) {
    out->gpu_ns = GlobalTimer();
    out->replay = run;
    out->exec_id = args.exec_id;
    out->workspace_id = source.workspace_id;
    out->node = args.node;
    out->place = args.place;
    out->words = source.words;
  }
  __threadfence_system();
  __syncwarp();
  if (lane == 0) out->sequence = ticket + 1;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kSnapshotThreads)
    lamplight_snapshot(const SnapshotArgs args) {
  if (args.sources == 0) return;
  auto* counter = reinterpret_cast<SnapshotCounter*>(args.counter);
  uint64_t run = 0;
  if (threadIdx.x == 0) {
    run = atomicAdd(reinterpret_cast<unsigned long long*>(&counter->runs), 1ull) + 1;
  }
  if (*reinterpret_cast<volatile uint64_t*>(&counter->disabled) != 0) return;
  for (uint32_t i = 0; i < args.sources; ++i) Copy(args, args.source[i], run);
}

}  // namespace lamplight::shim
