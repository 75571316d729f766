// Reads one *.lamptrace file whose every byte may be hostile: what is whole is returned, what is
// not is listed as a loss. Thread-safe: no shared state.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/file_bytes.h"
#include "analyzer/record_view.h"
#include "shim/trace_format.h"

namespace lamplight {

// One kind of loss in one file; stretches of one kind are added up.
struct TraceLoss {
  enum class Kind {
    kEventsOverwritten,   // the ring went round
    kEventsDropped,       // the shim's staging ring was full
    kSnapshotsDropped,    // the GPU's ring was full
    kDefinitionsDropped,  // no room on the disk
    kHeaderDamaged,       // records were found by scanning the whole file
    kRingOrderLost,       // the ring's counters are implausible: events are ordered by time
    kDamagedEvents,       // bytes of the ring in which no valid record stands
    kDamagedDefinitions,
    kUnfinishedRecord,  // being written when the file ended
    kBadRecord,         // CRC right, content not what the type promises
    kTruncated,         // the file ends before its contents do
  };
  Kind kind;
  uint64_t count = 0;   // events, records or stretches; 0: unknown
  uint64_t bytes = 0;   // 0: does not apply
  uint64_t offset = 0;  // of the first, in the file
  std::string text;     // one line for people
};

// Invariant: every view in `definitions` and `events` points into `content` and passed its CRC and
// Defect(). Definitions are in file order; events oldest first.
struct TraceFile {
  std::string path;
  trace::FileHeader header = {};
  FileBytes content;
  std::vector<RecordView> definitions;  // the evidence of hangs too
  std::vector<RecordView> events;
  std::vector<TraceLoss> losses;
  std::map<uint16_t, uint64_t> unknown_records;  // by type: from a newer minor version
  bool closed = false;                           // the process ended its trace itself
};

// nullopt: nothing in it can be read; `*error` names the path, the reason and what to do.
std::optional<TraceFile> ReadTrace(const std::string& path, std::string* error);

}  // namespace lamplight
