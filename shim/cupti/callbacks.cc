// Who is called back, by callback id.
#include "shim/cupti/callbacks.h"

#include <array>
#include <vector>

#include "shim/cupti/launches.h"
#include "shim/driver/calls.h"
#include "shim/hooks/guard.h"
#include "shim/recorder/origin.h"

namespace lamplight::shim::cupti {
namespace {

struct Slot {
  const driver::Watched* watched = nullptr;
  bool per_thread = false;
};
constinit std::array<Slot, abi::kIds> slots{};

std::vector<CallbackId>& Ids() {
  static auto* ids = new std::vector<CallbackId>();
  return *ids;
}

void Add(const driver::Watched& watched) {
  slots[watched.id.plain] = {&watched, false};
  Ids().push_back({watched.id.plain, watched.needed});
  if (watched.id.per_thread == 0) return;
  slots[watched.id.per_thread] = {&watched, true};
  Ids().push_back({watched.id.per_thread, watched.needed});
}

}  // namespace

void PrepareCallbacks() {
  if (!Ids().empty()) return;
  for (const driver::Watched& watched : driver::Calls()) Add(watched);
  for (const driver::Watched& watched : Launches()) Add(watched);
}

std::span<const CallbackId> CallbackIds() { return Ids(); }

void OnCallback(void*, int domain, uint32_t id, const void* data) noexcept {
  if (Inside::Now() || domain != abi::kDriverApi || id >= slots.size()) return;
  const Slot slot = slots[id];
  if (slot.watched == nullptr || data == nullptr) return;
  const KeepErrno keep;
  const Inside inside;
  const Through origin(trace::kRecordThroughCupti);
  const auto& callback = *static_cast<const abi::CallbackData*>(data);
  const bool enter = callback.site == abi::kEnter;
  if (enter) *callback.shared = 0;  // nothing kept
  const driver::Part part = enter ? slot.watched->enter : slot.watched->exit;
  if (part == nullptr) return;
  part({callback.parameters, static_cast<CUresult*>(callback.return_value), callback.shared,
        slot.per_thread});
}

}  // namespace lamplight::shim::cupti
