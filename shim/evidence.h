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
#include "shim/workspace_read.h"

namespace lamplight::shim {

// A call that may be the one that hangs, with what is needed to find its slots.
struct Suspect {
  Workspace* workspace;
  const Function* function;
  trace::LamportCall call;
  std::vector<Candidate> candidates{};  // all calls that may be stuck, where there are several
};

class EvidenceReader {
 public:
  EvidenceReader(Session& session, Probe& probe) : session_(session), probe_(probe) {}

  // Reads the workspaces of `suspects`, one suspect for each workspace.
  std::vector<WorkspaceEvidence> Read(const std::vector<Suspect>& suspects, Device* device);
  // Flag words alone, once.
  std::optional<std::vector<uint32_t>> ReadFlags(Workspace& workspace, Device& device);

  void WriteWorkspaces(uint32_t hang_id, const std::vector<WorkspaceEvidence>& evidence);
  // What has ended last of each exec in flight on the device, as far as kernels of ours tell.
  void WriteMarks(uint32_t hang_id, Device* device);
  void WriteHostThreads(uint32_t hang_id);
  void WritePythonStacks(uint32_t hang_id);
  void WriteText(uint32_t hang_id, trace::TextKind kind, const std::string& text);

 private:
  Session& session_;
  Probe& probe_;
};

}  // namespace lamplight::shim
