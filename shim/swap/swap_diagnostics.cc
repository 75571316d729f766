#include "shim/swap/swap_diagnostics.h"

#include <cstring>

#include "kernels/trouble_reader.h"
#include "kernels/trouble_text.h"
#include "shim/log.h"

namespace lamplight::shim {
namespace {

using kernels::Diagnostic;

void Tell(const Diagnostic& found) {
  char text[256];
  kernels::TroubleText(found, text, sizeof text);
  Log().error("swapped kernel: {}; buffer at {:#x}", text, found.workspace);
}

}  // namespace

bool SwapDiagnostics::Allocate(const DriverApi& driver) noexcept {
  void* memory = nullptr;
  constexpr unsigned kFlags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP;
  const bool allocated =
      driver.MemHostAlloc(&memory, kWorkspaces * sizeof(Diagnostic), kFlags) == CUDA_SUCCESS &&
      driver.MemHostGetDevicePointer(&device_, memory, 0) == CUDA_SUCCESS;
  if (!allocated) return false;
  std::memset(memory, 0, kWorkspaces * sizeof(Diagnostic));
  host_ = static_cast<Diagnostic*>(memory);
  return true;
}

Diagnostic* SwapDiagnostics::Of(const void* workspace) noexcept {
  const std::lock_guard lock(mutex_);
  const auto [entry, fresh] = index_of_.try_emplace(workspace, used_.load());
  if (fresh && entry->second < kWorkspaces) used_.store(entry->second + 1);
  if (entry->second >= kWorkspaces) return nullptr;
  return reinterpret_cast<Diagnostic*>(device_ + entry->second * sizeof(Diagnostic));
}

void SwapDiagnostics::Drain(Recorder&) {
  const uint32_t used = used_.load();
  for (uint32_t i = 0; i < used; ++i) {
    if (told_[i] != 0) continue;
    const Diagnostic found = kernels::ReadTrouble(host_[i]);
    told_[i] = found.trouble;
    if (found.trouble != 0) Tell(found);
  }
}

}  // namespace lamplight::shim
