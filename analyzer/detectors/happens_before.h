// Which launches of one process are ordered on the device, as far as the trace can tell.
//
// Built once from a model, then read only; safe from any thread. The model must outlive it. Errs on
// the side of order: where a record may be missing, launches count as ordered.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "analyzer/trace_model.h"

namespace lamplight {

// A replay or an eager launch; exactly one is set.
struct Launch {
  Index replay = kNone;
  Index eager = kNone;
};

class LaunchOrder {
 public:
  LaunchOrder(const Model& model, Index process);

  // True when `first` is complete before `second` starts, or when the trace cannot exclude it.
  bool Ordered(const Launch& first, const Launch& second) const;

 private:
  // For each stream, how many of its launches are known to be over.
  using Clock = std::map<Index, uint64_t>;
  struct Ticket {
    Index stream;
    uint64_t number;  // position among the launches of its stream
    Clock seen;       // what is over when it starts, and itself
  };
  struct Step;

  void Run(const Step& step);
  void RunLaunch(const Launch& launch, Index stream);
  void RunOrder(const Order& order);
  void RunWait(const Order& order);
  void FollowLegacy(Index stream);
  bool Blocking(Index stream) const;
  bool Legacy(Index stream) const;
  Clock Everything() const;
  static void Join(Clock* into, const Clock& from);
  const Ticket* Find(const Launch& launch) const;
  bool KnownComplete(const Launch& first, const Launch& second) const;
  bool RecordsMayBeMissing(const Launch& first) const;
  bool WaitsInside(const Launch& launch) const;

  const Model& model_;
  const Process& process_;
  Clock host_;  // over as far as the host has waited for it
  std::map<Index, Clock> streams_;
  std::map<std::pair<uint32_t, uint64_t>, Clock> events_;
  std::unordered_map<Index, Ticket> replays_;
  std::unordered_map<Index, Ticket> eager_;
};

uint64_t LaunchTime(const Model& model, const Launch& launch);

}  // namespace lamplight
