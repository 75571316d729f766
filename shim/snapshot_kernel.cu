// The shim's only kernel: copies the flag words of up to four workspaces into the host-mapped ring.
//
// One warp. It runs on a branch of its own in the host's graphs, so it may be slow; it may never
// wait.
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

// The value of this lane's cell. `run` and the words were loaded by the lanes that need them.
__device__ uint32_t CellValue(const SnapshotArgs& args, const SnapshotSource& source, uint64_t run,
                              uint64_t now) {
  const uint32_t lane = threadIdx.x;
  switch (lane) {
    case 0:
      return args.exec_id;
    case 1:
      return source.workspace_id;
    case 2:
      return static_cast<uint32_t>(run);
    case 3:
      return static_cast<uint32_t>(run >> 32);
    case 4:
      return static_cast<uint32_t>(now);
    case 5:
      return static_cast<uint32_t>(now >> 32);
    case 6:
      return args.node;
    case 7:
      return args.place | static_cast<uint32_t>(source.words) << 16;
    default:
      return lane - kFirstWordCell < source.words ? Words(source)[lane - kFirstWordCell] : 0;
  }
}

__device__ void Copy(const SnapshotArgs& args, const SnapshotSource& source, uint64_t run) {
  const uint32_t lane = threadIdx.x;
  unsigned long long ticket = 0;
  if (lane == 0) ticket = atomicAdd(reinterpret_cast<unsigned long long*>(args.tickets), 1ull);
  uint32_t value = 0;
  // One lane's reading, so that its halves belong together.
  const uint64_t now = __shfl_sync(0xffffffffu, GlobalTimer(), 0);
  if (lane < kSnapshotCells) value = CellValue(args, source, run, now);
  ticket = __shfl_sync(0xffffffffu, ticket, 0);
  auto* slot = reinterpret_cast<SnapshotSlot*>(args.ring) + (ticket & args.mask);
  if (lane >= kSnapshotCells) return;
  volatile uint64_t* cell = &slot->cell[lane];
  *cell = static_cast<uint64_t>(SnapshotTag(ticket)) << 32 | value;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kSnapshotThreads)
    lamplight_snapshot(const SnapshotArgs args) {
  if (args.sources == 0) return;
  // A snapshot node never runs beside itself, so its counter needs no atomic.
  auto* counter = reinterpret_cast<volatile SnapshotCounter*>(args.counter);
  const uint64_t run = counter->runs + 1;
  const bool disabled = counter->disabled != 0;
  __syncwarp();
  if (threadIdx.x == 0) counter->runs = run;
  if (disabled) return;
  for (uint32_t i = 0; i < args.sources; ++i) Copy(args, args.source[i], run);
}

}  // namespace lamplight::shim
