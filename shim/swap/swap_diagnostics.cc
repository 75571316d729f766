#include "shim/swap/swap_diagnostics.h"

#include <cstring>

namespace lamplight::shim {

using kernels::Diagnostic;

bool SwapDiagnostics::Allocate(const DriverApi& driver, Troubles& troubles) noexcept {
  void* memory = nullptr;
  constexpr unsigned kFlags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP;
  const bool allocated =
      driver.MemHostAlloc(&memory, kWorkspaces * sizeof(Diagnostic), kFlags) == CUDA_SUCCESS &&
      driver.MemHostGetDevicePointer(&device_, memory, 0) == CUDA_SUCCESS;
  if (!allocated) return false;
  std::memset(memory, 0, kWorkspaces * sizeof(Diagnostic));
  troubles.Own(device_, static_cast<Diagnostic*>(memory), kWorkspaces);
  return true;
}

Diagnostic* SwapDiagnostics::Of(const void* workspace) noexcept {
  const std::lock_guard lock(mutex_);
  const auto next = static_cast<uint32_t>(index_of_.size());
  const auto known = index_of_.find(workspace);
  if (known == index_of_.end() && next == kWorkspaces) return nullptr;
  const uint32_t index = index_of_.try_emplace(workspace, next).first->second;
  return reinterpret_cast<Diagnostic*>(device_ + index * sizeof(Diagnostic));
}

}  // namespace lamplight::shim
