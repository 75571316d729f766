// Same boot id: same CLOCK_MONOTONIC. Different ones: their distances to CLOCK_REALTIME.
// Thread-safe: no state.
#include "analyzer/clocks.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>

namespace lamplight {
namespace {

using BootId = std::array<uint8_t, 16>;

struct Clock {
  std::optional<BootId> boot;
  std::vector<int64_t> to_realtime;  // one of each anchor
};

// Differences of hostile values may wrap; they only ever shift times.
int64_t Difference(uint64_t a, uint64_t b) { return static_cast<int64_t>(a - b); }

Clock ClockOf(const TraceFile& trace) {
  Clock clock;
  for (const auto* records : {&trace.definitions, &trace.events}) {
    for (const RecordView& view : *records) {
      if (view.type() == trace::RecordType::kProcess) {
        BootId boot;
        std::memcpy(boot.data(), view.As<trace::Process>()->boot_id, boot.size());
        if (!clock.boot && boot != BootId{}) clock.boot = boot;
      } else if (view.type() == trace::RecordType::kClockAnchor) {
        const auto anchor = *view.As<trace::ClockAnchor>();
        clock.to_realtime.push_back(Difference(anchor.realtime_ns, anchor.monotonic_ns));
      }
    }
  }
  return clock;
}

// The middle one: the wall clock may have been set during the run.
std::optional<int64_t> Median(std::vector<int64_t> values) {
  if (values.empty()) return std::nullopt;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

int64_t Wrapped(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

}  // namespace

uint64_t ClockShift::Apply(uint64_t time_ns) const {
  if (time_ns == 0 || ns == 0) return time_ns;
  const uint64_t shifted = time_ns + static_cast<uint64_t>(ns);
  const bool wrapped = ns < 0 ? shifted > time_ns : shifted < time_ns;
  return wrapped ? 1 : shifted;
}

ClockAlignment AlignClocks(std::span<const TraceFile> traces) {
  ClockAlignment alignment;
  std::vector<Clock> clocks;
  std::map<BootId, std::vector<int64_t>> anchors;  // of all processes of one boot
  for (const TraceFile& trace : traces) {
    clocks.push_back(ClockOf(trace));
    const Clock& clock = clocks.back();
    if (!clock.boot) continue;
    auto& all = anchors[*clock.boot];
    all.insert(all.end(), clock.to_realtime.begin(), clock.to_realtime.end());
  }
  const auto distance = [&](const Clock& clock) {
    return Median(clock.boot ? anchors[*clock.boot] : clock.to_realtime);
  };
  bool by_realtime = false;
  for (size_t i = 0; i < clocks.size(); ++i) {
    ClockShift shift;
    const bool same_boot = clocks[i].boot && clocks[i].boot == clocks[0].boot;
    if (i != 0 && !same_boot) {
      const auto own = distance(clocks[i]);
      const auto reference = distance(clocks[0]);
      shift.known = own && reference;
      if (shift.known) shift.ns = Wrapped(*own, *reference);
      by_realtime |= shift.known;
      if (!shift.known) {
        alignment.notes.push_back(traces[i].path +
                                  ": its clock cannot be aligned with the other traces (no boot id "
                                  "or clock anchor left); its times are its own");
      }
    }
    alignment.shifts.push_back(shift);
  }
  if (by_realtime) {
    alignment.notes.push_back(
        "The traces come from several hosts or boots. Their clocks are aligned by wall-clock time: "
        "times of different hosts compare only as well as those clocks agree (NTP: milliseconds).");
  }
  return alignment;
}

}  // namespace lamplight
