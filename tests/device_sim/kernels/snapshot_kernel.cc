// lamplight_snapshot of shim/snapshot_kernel.cu: copies flag words into the host-mapped ring.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

#include "lamport.h"
#include "shim/snapshot_args.h"

namespace device_sim {
namespace {

namespace shim = lamplight::shim;

template <class T>
T* At(uint64_t address) {
  return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}

uint64_t Increment(uint64_t* counter) { return std::atomic_ref<uint64_t>(*counter).fetch_add(1); }

const uint32_t* WordsOf(const KernelContext& context, const shim::SnapshotSource& source) {
  context.CheckReach(source.address);
  if (!source.indirect) return At<const uint32_t>(source.address);
  auto* slot = At<uint64_t>(source.address);
  return At<const uint32_t>(std::atomic_ref<uint64_t>(*slot).load());
}

void Copy(const KernelContext& context, const shim::SnapshotArgs& args,
          const shim::SnapshotSource& source, uint64_t run) {
  const uint64_t ticket = Increment(At<uint64_t>(args.tickets));
  const uint64_t now = context.global_timer_ns();
  lamplight::SnapshotRecord record = {};
  record.exec_id = args.exec_id;
  record.workspace_id = source.workspace_id;
  record.replay_low = static_cast<uint32_t>(run);
  record.replay_high = static_cast<uint32_t>(run >> 32);
  record.gpu_ns_low = static_cast<uint32_t>(now);
  record.gpu_ns_high = static_cast<uint32_t>(now >> 32);
  record.node = args.node;
  record.place_and_words = args.place | static_cast<uint32_t>(source.words) << 16;
  const uint32_t* words = WordsOf(context, source);
  const uint32_t count = std::min<uint32_t>(source.words, lamplight::kSnapshotWords);
  for (uint32_t i = 0; i < count; ++i) record.word[i] = LoadWord(words + i);

  std::array<uint32_t, lamplight::kSnapshotCells> values;
  std::memcpy(values.data(), &record, sizeof(record));
  lamplight::SnapshotSlot& slot = At<lamplight::SnapshotSlot>(args.ring)[ticket & args.mask];
  const uint64_t tag = static_cast<uint64_t>(lamplight::SnapshotTag(ticket)) << 32;
  for (uint32_t i = 0; i < values.size(); ++i) {
    std::atomic_ref<uint64_t>(slot.cell[i]).store(tag | values[i], std::memory_order_release);
  }
}

void Snapshot(KernelContext& context, shim::SnapshotArgs args) {
  if (args.sources == 0) return;
  auto* counter = At<shim::SnapshotCounter>(args.counter);
  const uint64_t run = Increment(&counter->runs) + 1;
  if (std::atomic_ref<uint64_t>(counter->disabled).load() != 0) return;
  const uint32_t sources = std::min<uint32_t>(args.sources, shim::kSnapshotSources);
  for (uint32_t i = 0; i < sources; ++i) Copy(context, args, args.source[i], run);
}

const KernelRegistration snapshot(shim::kSnapshotKernel, Snapshot);

}  // namespace
}  // namespace device_sim
