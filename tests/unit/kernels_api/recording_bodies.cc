// What the recording kernels do on the simulated device.
#include <atomic>
#include <cstdio>
#include <mutex>
#include <string>

#include "recording_kernels.h"
#include "tests/device_sim/sim_kernel.h"

namespace lamplight::kernels::test {
namespace {

struct Log {
  std::mutex mutex;
  std::vector<Launched> launched;
};

Log& TheLog() {
  static Log& log = *new Log;
  return log;
}

std::atomic_ref<uint32_t> Word(void* buffer, uint32_t index) {
  return std::atomic_ref<uint32_t>(static_cast<uint32_t*>(buffer)[index]);
}

void Meet(device_sim::KernelContext& context, const CollectiveCall& call) {
  for (uint32_t peer = 0; peer < call.world; ++peer) {
    void* buffer = call.peer_table != nullptr ? call.peer_table[peer] : call.peer[peer];
    Word(buffer, call.rank).store(call.tokens);
  }
  for (uint32_t peer = 0; peer < call.world; ++peer) {
    while (Word(call.local, peer).load() < call.tokens) context.Relax();
  }
}

template <Kernel kKernel, DataType kType, uint32_t kWorld>
void Body(device_sim::KernelContext& context, CollectiveCall call) {
  {
    const std::lock_guard lock(TheLog().mutex);
    TheLog().launched.push_back({kKernel, kType, kWorld, context.grid().x, context.grid().y,
                                 context.block().x, context.cluster_size(), call});
  }
  if (call.hidden == kMeetingHidden) Meet(context, call);
}

template <Kernel kKernel, DataType kType, uint32_t kWorld>
bool RegisterOne() {
  char symbol[200];
  std::snprintf(
      symbol, sizeof symbol,
      "_ZN9lamplight7kernels4test15RecordingKernelILNS0_6KernelE%dELNS0_8DataTypeE%dELj%uEEEv"
      "NS0_14CollectiveCallE",
      static_cast<int>(kKernel), static_cast<int>(kType), kWorld);
  device_sim::KernelEntry entry;
  entry.prefix = symbol;
  entry.parameters = {{0, sizeof(CollectiveCall)}};
  entry.body = [](device_sim::KernelContext& context, const std::byte* parameters) {
    CollectiveCall call;
    std::memcpy(&call, parameters, sizeof call);
    Body<kKernel, kType, kWorld>(context, call);
  };
  device_sim::RegisterKernel(std::move(entry));
  return true;
}

template <Kernel kKernel, DataType kType>
bool RegisterWorlds() {
  return RegisterOne<kKernel, kType, 0>() && RegisterOne<kKernel, kType, 2>() &&
         RegisterOne<kKernel, kType, 4>() && RegisterOne<kKernel, kType, 8>();
}

template <Kernel kKernel>
bool RegisterTypes() {
  return RegisterWorlds<kKernel, DataType::kFp16>() && RegisterWorlds<kKernel, DataType::kBf16>() &&
         RegisterWorlds<kKernel, DataType::kFp32>();
}

const bool registered = RegisterTypes<Kernel::kOneShot>() && RegisterTypes<Kernel::kTwoShot>();

}  // namespace

std::vector<Launched> TakeLaunched() {
  const std::lock_guard lock(TheLog().mutex);
  std::vector<Launched> taken;
  taken.swap(TheLog().launched);
  return taken;
}

}  // namespace lamplight::kernels::test
