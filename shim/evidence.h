// What the watchdog reads when a replay has stopped: flag words and payload slots of its
// workspaces, twice, through the probe; host stacks; Python stacks. All bounded in time, all
// written to the trace.
//
// Used by the watchdog thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shim/probe.h"
#include "shim/session.h"
#include "shim/trace_format.h"

namespace lamplight::shim {

// What was read of one workspace.
struct WorkspaceEvidence {
  Workspace* workspace = nullptr;
  trace::LamportCall call{};  // the call that is believed to be stuck
  protocol::Compare compare = protocol::Compare::kUnknown;
  trace::SideChannel status = trace::SideChannel::kNotTried;
  int error = 0;
  uint32_t words = 0;
  uint32_t first[16] = {};
  uint32_t second[16] = {};
  uint64_t read_begin_ns[2] = {};
  uint64_t read_end_ns[2] = {};
  uint64_t local_address = 0;
  std::vector<trace::SlotState> slots;  // current and dirty generation, the next one's summaries
};

// A call that may be the one that hangs, with what is needed to find its slots.
struct Suspect {
  Workspace* workspace;
  const Function* function;
  trace::LamportCall call;
};

class EvidenceReader {
 public:
  EvidenceReader(Session& session, Probe& probe) : session_(session), probe_(probe) {}

  // Reads the workspaces of `suspects`, one suspect for each workspace.
  std::vector<WorkspaceEvidence> Read(const std::vector<Suspect>& suspects, Device* device);
  // Flag words alone, once.
  std::optional<std::vector<uint32_t>> ReadFlags(const Workspace& workspace, Device& device);

  void WriteWorkspaces(uint32_t hang_id, const std::vector<WorkspaceEvidence>& evidence);
  void WriteHostThreads(uint32_t hang_id);
  void WritePythonStacks(uint32_t hang_id);
  void WriteText(uint32_t hang_id, trace::TextKind kind, const std::string& text);

 private:
  Session& session_;
  Probe& probe_;
};

}  // namespace lamplight::shim
