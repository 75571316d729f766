#include "shim/swap/swap_diagnostics.h"

#include <cstring>

#include "kernels/trouble_reader.h"
#include "shim/log.h"

namespace lamplight::shim {
namespace {

using kernels::Diagnostic;
using kernels::Trouble;

void Tell(const Diagnostic& d) {
  const double seconds = static_cast<double>(d.waited_ns) * 1e-9;
  switch (static_cast<Trouble>(d.trouble)) {
    case Trouble::kTimeout:
      Log().error(
          "rank {} waits for rank {} since {:.1f} s: token {}, word {}, stage {}, generation {} of "
          "the workspace at {:#x}; the word holds {:#010x}; it waits on",
          d.rank, d.peer, seconds, d.token, d.word, d.stage, d.index, d.workspace, d.bits[0]);
      return;
    case Trouble::kDivergence:
      Log().error(
          "ranks {} and {} are in different calls: {} tokens of {} here, {} tokens of {} there; "
          "the "
          "missing results are NaN",
          d.rank, d.peer, d.tokens, d.hidden, d.peer_tokens, d.peer_hidden);
      return;
    case Trouble::kCapacity:
      Log().error(
          "rank {}: {} tokens of {} do not fit a generation of the workspace at {:#x}; the call "
          "wrote NaN instead of overflowing it",
          d.rank, d.tokens, d.hidden, d.workspace);
      return;
    case Trouble::kCorruptState:
      Log().error("rank {}: the flag words of the workspace at {:#x} are impossible; NaN written",
                  d.rank, d.workspace);
      return;
    case Trouble::kArrivalResidue:
      Log().error(
          "rank {}: {} arrivals were left over in its workspace in a call of {} tokens: another "
          "kernel counted there at the same time, or left it in the middle",
          d.rank, d.arrivals, d.tokens);
      return;
    case Trouble::kMisaligned:
      Log().error("rank {}: a tensor or the workspace at {:#x} is not aligned; NaN written", d.rank,
                  d.workspace);
      return;
    case Trouble::kNothing:
      return;
  }
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
    Tell(found);
  }
}

}  // namespace lamplight::shim
