// What tells an eager call that hangs from one that has completed, or waits its turn.
#include "shim/eager_watch.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "kernels/collective_call.h"
#include "kernels/protocol.cuh"
#include "shim/verdict.h"

namespace lamplight::shim {
namespace {

constexpr std::chrono::milliseconds kQueryLimit{1000};

using Flags = std::vector<uint32_t>;

std::optional<uint32_t> At(const Flags& flags, size_t word) {
  if (word >= flags.size()) return std::nullopt;
  return flags[word];
}

// Blocks that are not in the first one's phase: all are between calls.
uint32_t BlocksApart(const Flags& flags) {
  uint32_t apart = 0;
  for (const uint32_t counter : flags) apart += (counter ^ flags[0]) & 1;
  return apart;
}

// How much of the call under way has arrived, in whatever unit; 0: none.
std::optional<uint32_t> Arrivals(trace::FlagLayout layout, const Flags& flags) {
  switch (layout) {
    case trace::FlagLayout::kEraA:
      return At(flags, 3);
    case trace::FlagLayout::kEraB:
      return At(flags, 4);
    case trace::FlagLayout::kEraC:
      return At(flags, protocol::kArrivals);
    case trace::FlagLayout::kEpoch:
      if (flags.empty()) return std::nullopt;
      return static_cast<uint32_t>(flags[0] % kernels::kWholeCall);
    case trace::FlagLayout::kPhases:
      return BlocksApart(flags);
    default:
      return At(flags, 0);  // the unicast family counts in its first word
  }
}

// What a call moves on by one.
std::optional<uint32_t> Index(trace::FlagLayout layout, const Flags& flags) {
  if (layout == trace::FlagLayout::kUnicast) return At(flags, 2);
  if (layout == trace::FlagLayout::kPhases && !flags.empty()) return flags[0] & 1;
  if (layout != trace::FlagLayout::kEpoch) return At(flags, 0);
  if (flags.size() < 2) return std::nullopt;
  const uint64_t progress = uint64_t{flags[1]} << 32 | flags[0];
  return static_cast<uint32_t>(progress / kernels::kWholeCall);
}

// After how many calls the index is as it was.
uint64_t Period(trace::FlagLayout layout) {
  if (layout == trace::FlagLayout::kPhases) return 2;
  return layout == trace::FlagLayout::kEpoch ? uint64_t{1} << 32 : protocol::kGenerations;
}

}  // namespace

// An eager call leaves no marker of its own. It is looked at when half of its time is over: where
// its stream is done by then, or where its flags still move, nothing is wrong. A kernel that is
// stuck in it leaves arrivals standing; one that has not begun leaves the index behind the count of
// calls, which tells modulo the generations.
EagerWatch::News EagerWatch::Look(Workspace& workspace, uint64_t now) {
  const Workspace::Eager eager = workspace.last_eager();
  Seen& seen = seen_[&workspace];
  Device* device = session_.DeviceByOrdinal(workspace.device);
  if (device == nullptr || session_.streams().AnyCapture()) return News::kNone;
  if (seen.hangs) return IsOver(workspace, *device, seen) ? News::kOver : News::kNone;
  if (eager.calls == seen.checked || now < DueSince(eager) + timeout_ns_ / 2) return News::kNone;
  if (!Hangs(workspace, eager, *device, now, seen)) return News::kNone;
  seen.hangs = true;
  seen.hung_call = eager;
  return News::kHangs;
}

bool EagerWatch::Hangs(Workspace& workspace, const Workspace::Eager& eager, Device& device,
                       uint64_t now, Seen& seen) {
  // First the stream, then the flags: what they say of a stream that is done is final.
  const std::optional<bool> done = StreamDone(eager.stream_id, device);
  if (done.value_or(false) && seen.first_known) {
    // There is nothing to be learnt, and the host may free an idle workspace at any moment.
    seen.checked = eager.calls;
    return false;
  }
  const uint64_t calls = workspace.ops.load(std::memory_order_relaxed);
  const bool stand = FlagsStand(workspace, eager, device, now, seen);
  if (done.value_or(false)) {
    LearnFirstIndex(workspace, calls, seen);
    seen.checked = eager.calls;
    return false;
  }
  const std::optional<uint32_t> arrivals = Arrivals(workspace.layout, seen.flags);
  if (!stand || now < DueSince(eager) + timeout_ns_) return false;
  seen.checked = eager.calls;
  // A replay on the same workspace explains all this too, and has a watch of its own.
  if (!arrivals || AnyReplayPending(workspace)) return false;
  const bool stuck_inside = *arrivals != 0 || PollsBehindTheFlags(workspace, eager, device);
  const bool stuck_before = done.has_value() && IndexShowsPending(workspace, seen);
  return stuck_inside || stuck_before;
}

// It may complete after all.
bool EagerWatch::IsOver(Workspace& workspace, Device& device, Seen& seen) {
  const std::optional<bool> done = StreamDone(seen.hung_call.stream_id, device);
  bool over = done.value_or(false);
  if (!done) {
    const auto flags = evidence_.ReadFlags(workspace, device);
    over = flags && *flags != seen.flags;
  }
  seen.hangs = !over;
  // What made it look hung may be a workspace that was initialised anew: its first index is learnt
  // again.
  if (over) seen.first_known = false;
  return over;
}

// Whether the flags have not moved for a good part of the timeout. Reads them; empty: unreadable.
bool EagerWatch::FlagsStand(Workspace& workspace, const Workspace::Eager& eager, Device& device,
                            uint64_t now, Seen& seen) {
  std::vector<uint32_t> flags =
      evidence_.ReadFlags(workspace, device).value_or(std::vector<uint32_t>());
  if (seen.watched != eager.calls || flags != seen.flags) {
    seen.watched = eager.calls;
    seen.since_ns = now;
    seen.flags = std::move(flags);
  }
  return now >= std::max(seen.since_ns, awake_since_ns_) + timeout_ns_ / 3;
}

std::optional<bool> EagerWatch::StreamDone(uint32_t stream_id, Device& device) {
  auto done = std::make_shared<std::optional<bool>>();
  Streams& streams = session_.streams();
  const auto ask = [done, &streams, stream_id] { *done = streams.Done(stream_id); };
  if (!probe_.Run(device, ask, kQueryLimit)) return std::nullopt;
  return *done;
}

bool EagerWatch::AnyReplayPending(const Workspace& workspace) const {
  const std::vector<Exec*> execs = session_.graphs().ExecsInFlight();
  return std::any_of(execs.begin(), execs.end(),
                     [&](const Exec* exec) { return exec->Uses(workspace); });
}

// While nothing runs, index and count of calls belong together. `calls` were counted between the
// look at the stream and that at the flags.
void EagerWatch::LearnFirstIndex(const Workspace& workspace, uint64_t calls, Seen& seen) const {
  const std::optional<uint32_t> index = Index(workspace.layout, seen.flags);
  if (AnyReplayPending(workspace) || !index) return;
  if (workspace.ops.load(std::memory_order_relaxed) != calls) return;
  const uint64_t period = Period(workspace.layout);
  seen.first_known = true;
  seen.first_index = static_cast<uint32_t>((*index + period - calls % period) % period);
}

// False also where calls are pending whose number is a multiple of the period.
bool EagerWatch::IndexShowsPending(const Workspace& workspace, const Seen& seen) {
  const std::optional<uint32_t> index = Index(workspace.layout, seen.flags);
  const uint64_t period = Period(workspace.layout);
  if (!index || *index >= period) return false;
  const uint64_t calls = workspace.ops.load(std::memory_order_relaxed);
  return *index != (seen.first_index + calls) % period;
}

// The flags look quiet; the kernel may have moved them on and still be polling.
bool EagerWatch::PollsBehindTheFlags(Workspace& workspace, const Workspace::Eager& eager,
                                     Device& device) {
  const Function* function = session_.functions().ById(eager.call.call.kernel_id);
  if (function == nullptr) return false;
  const auto found = evidence_.Read({{&workspace, function, eager.call.call}}, &device);
  return !found.empty() && found.front().status == trace::SideChannel::kOk &&
         WaitsInDirtyGeneration(found.front());
}

}  // namespace lamplight::shim
