#include "shim/swap/swap_diagnostics.h"

#include "shim/pinned_memory.h"

namespace lamplight::shim {

using kernels::Diagnostic;

bool SwapDiagnostics::Allocate(const DriverApi& driver, Troubles& troubles) noexcept {
  const auto memory = AllocatePinned(driver, kWorkspaces * sizeof(Diagnostic));
  if (!memory) return false;
  device_ = memory->device;
  troubles.Own(device_, static_cast<Diagnostic*>(memory->host), kWorkspaces);
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
