// Thread-safe: no state.
#include "tests/device_sim/operation.h"

#include <chrono>
#include <cstring>
#include <thread>

#include "tests/device_sim/config.h"

namespace device_sim {
namespace {

// LAMPLIGHT_SIM_SIDE_CHANNEL=block: a copy to the host waits as long as any kernel polls.
void WaitForSideChannel(const CopyCall& copy) {
  if (!copy.device_to_host || TheConfig()->side_channel != SideChannel::kBlocks) return;
  while (AnyKernelPolls()) {
    if (TornDown()) ParkThread();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Status Run(const CopyCall& copy) {
  WaitForSideChannel(copy);
  const void* from =
      copy.staged != nullptr ? copy.staged->data() : reinterpret_cast<const void*>(copy.from);
  std::memmove(reinterpret_cast<void*>(copy.to), from, copy.bytes);
  return kOk;
}

void FillRow(std::byte* row, const FillCall& fill) {
  for (size_t i = 0; i < fill.width; ++i) {
    std::memcpy(row + i * fill.element_bytes, &fill.value, fill.element_bytes);
  }
}

Status Run(const FillCall& fill) {
  auto* row = reinterpret_cast<std::byte*>(fill.to);
  for (size_t i = 0; i < fill.rows; ++i, row += fill.pitch) {
    if (fill.element_bytes == 1) {
      std::memset(row, static_cast<int>(fill.value), fill.width);
    } else {
      FillRow(row, fill);
    }
  }
  return kOk;
}

}  // namespace

CUgraphNodeType TypeOf(const Operation& operation) {
  constexpr CUgraphNodeType kTypes[] = {
      CU_GRAPH_NODE_TYPE_KERNEL,       CU_GRAPH_NODE_TYPE_MEMCPY,     CU_GRAPH_NODE_TYPE_MEMSET,
      CU_GRAPH_NODE_TYPE_HOST,         CU_GRAPH_NODE_TYPE_EMPTY,      CU_GRAPH_NODE_TYPE_GRAPH,
      CU_GRAPH_NODE_TYPE_EVENT_RECORD, CU_GRAPH_NODE_TYPE_WAIT_EVENT, CU_GRAPH_NODE_TYPE_MEM_ALLOC,
      CU_GRAPH_NODE_TYPE_MEM_FREE};
  static_assert(std::size(kTypes) == std::variant_size_v<Operation>);
  return kTypes[operation.index()];
}

bool OwnsMemory(const Operation& operation) {
  return std::holds_alternative<AllocateCall>(operation) ||
         std::holds_alternative<FreeCall>(operation);
}

Status Execute(const Operation& operation, const std::function<void()>& while_polling) {
  if (const auto* kernel = std::get_if<KernelCall>(&operation)) {
    return RunKernel(*kernel, while_polling);
  }
  if (const auto* copy = std::get_if<CopyCall>(&operation)) return Run(*copy);
  if (const auto* fill = std::get_if<FillCall>(&operation)) return Run(*fill);
  if (const auto* free = std::get_if<FreeCall>(&operation); free != nullptr && !free->in_graph) {
    return StreamMemory::Release(free->address);
  }
  if (const auto* host = std::get_if<HostCall>(&operation)) host->function(host->argument);
  return kOk;
}

}  // namespace device_sim
