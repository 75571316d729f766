// What a detector concludes: one proven, likely or possible hazard, with everything that supports
// it.
//
// Plain values; no thread-safety of their own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "analyzer/trace_model.h"

namespace lamplight {

enum class Severity : uint8_t { kHang, kSilent, kCrash, kAdvisory };
enum class Confidence : uint8_t { kProven, kLikely, kPossible };

std::string_view ToString(Severity severity);
std::string_view ToString(Confidence confidence);

// Words of one slot that support the finding.
struct SlotWords {
  uint32_t rank = kUnknown;  // whose workspace
  uint32_t peer = kUnknown;  // who writes the slot
  uint32_t generation = kUnknown;
  uint32_t stage = 0;
  uint32_t token = kUnknown;  // kUnknown: all tokens of the peer together
  uint32_t words = 0;
  uint32_t sentinel = 0;
  uint32_t alias = 0;
  uint32_t stored = kUnknown;       // sentinel words that were stored as data
  std::vector<uint32_t> positions;  // first words concerned, counted from the start of the slot
};

// A node of a graph that the finding points at. Several: the data does not tell them apart.
struct NodeRef {
  uint32_t position = 0;   // in the host's graph
  bool eager = false;      // no graph: an eager launch
  std::string kernel;      // demangled
  std::string descriptor;  // ABI descriptor; empty: none
  uint32_t tokens = kUnknown;
  uint32_t dim = kUnknown;
};

// Where it happened. Unset parts are kNone, 0 or empty.
struct Place {
  Index communicator = kNone;
  Index process = kNone;
  Index workspace = kNone;
  Index graph = kNone;
  Index exec = kNone;
  Index hang = kNone;
  uint64_t replay = 0;  // number; 0: none
  uint64_t operation = kNoOperation;
  bool assumed = false;  // graph and nodes: ExecVersion::assumed
  std::vector<NodeRef> nodes;
  static constexpr uint64_t kNoOperation = ~uint64_t{0};
};

// What one rank suffers from another rank's cause.
struct Consequence {
  uint32_t rank = kUnknown;
  Index process = kNone;
  Index hang = kNone;
  std::string text;
};

// The newest call of a rank that is known to have ended, by a snapshot of its own.
struct LastFinishedCall {
  uint32_t rank = kUnknown;
  Index process = kNone;
  Index exec = kNone;   // kNone: an eager call
  uint64_t replay = 0;  // number; 0: an eager call
  uint64_t operation = 0;
  NodeRef node;
  uint64_t gpu_ns = 0;  // when it ended, by its GPU's clock
};

struct Finding {
  std::string hazard;  // "C1", …; "H0": a hang whose cause is not proven
  std::string title;
  Severity severity = Severity::kHang;
  Confidence confidence = Confidence::kProven;
  std::vector<uint32_t> ranks;  // where the cause is
  Place place;
  std::string summary;  // what happened, one or two short sentences
  std::vector<SlotWords> slots;
  std::vector<std::string> evidence;  // one line each
  std::vector<std::string> missing;   // what would be needed to know more
  std::vector<std::string> actions;   // what to do
  std::vector<Index> hangs;           // hangs that this explains, of the ranks above
  std::vector<Consequence> consequences;
  std::vector<Index> troubles;                  // what kernels of ours reported themselves
  std::vector<LastFinishedCall> last_finished;  // of hangs: at most one for each rank of the group
  uint64_t occurrences = 1;
};

}  // namespace lamplight
