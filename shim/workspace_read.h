// One side-channel read of a workspace: flag words and slots, twice, and the inputs of the calls
// that may be stuck.
//
// Runs on the probe thread. The watchdog may abandon it there, so it owns all that it touches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "shim/lamport/recognition.h"
#include "shim/probe.h"
#include "shim/sent_rows.h"
#include "shim/slots.h"
#include "shim/workspaces.h"

namespace lamplight::shim {

// A call of the hung replay on the workspace.
struct Candidate {
  uint32_t node;
  trace::LamportCall call;
  trace::Algorithm algorithm;
  trace::DataType type;
  uint64_t shard_address;  // 0: it reads no input of its own
};

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
  std::vector<trace::InputMatch> inputs;
  std::vector<trace::PeerHeader> headers;  // by rank, this rank's own too; empty: there are none

  // What this rank itself has announced to its peers. False: it has announced no call since it
  // completed the last, so the call that is due has not begun. Nothing: there are no headers.
  std::optional<bool> Begun() const;
};

class WorkspaceRead {
 public:
  struct Options {
    trace::LamportCall call{};  // with the largest extent of all that may be stuck
    lamport::Recognition kernel{};
    std::vector<Candidate> candidates{};
    uint64_t max_bytes = 0;
  };

  WorkspaceRead(const WorkspaceEvidence& evidence, Options options)
      : found_(evidence), workspace_(*evidence.workspace), options_(std::move(options)) {}

  // Flags and slots, bounded by kLimit.
  void Run(Probe& probe, Device& device);
  // After Run: fills `inputs`.
  void CompareInputs(Probe& probe, Device& device);
  // The flag words alone, once, into `first`.
  void RunFlags(Probe& probe, Device& device) { ReadFlags(probe, device, found_.first); }

  // After the task has finished.
  WorkspaceEvidence& found() { return found_; }

  static constexpr std::chrono::milliseconds kReadLimit{3000};   // one copy
  static constexpr std::chrono::milliseconds kInputLimit{1500};  // all inputs
  static constexpr std::chrono::milliseconds kBetweenReads{50};  // longer than stores take to land
  static constexpr std::chrono::milliseconds kLimit = kReadLimit * 4 + kBetweenReads;

 private:
  struct PlannedStage {
    StageLayout layout;
    uint32_t generation;
    uint32_t role;
  };
  using Bytes = std::vector<std::byte>;

  bool Failed(trace::SideChannel status, CUresult error);
  bool FlagAddress(Probe& probe, Device& device, uint64_t* address);
  bool ReadFlags(Probe& probe, Device& device, uint32_t* words);
  bool ReadSizes(Probe& probe, Device& device, uint32_t* words);
  bool ReadCounters(Probe& probe, Device& device, uint64_t address, uint32_t* words);
  void ShowCounters(uint32_t phase, uint32_t* words);
  void FitPhase();
  std::optional<Generation> GenerationNow() const;
  bool LocalAddress(Probe& probe, Device& device);
  bool ReadSequence(Probe& probe, Device& device, const uint32_t* words, uint32_t* sequence);
  bool ReadHeaders(Probe& probe, Device& device, const uint32_t* words);
  void FitCallToHeader();
  void PlanGeneration(const trace::LamportCall& call, const Generation& generation, uint32_t role);
  std::optional<trace::LamportCall> LastCall() const;
  void PlanSlots();
  bool ReadStages(Probe& probe, Device& device, std::vector<Bytes>* out);
  uint32_t TokensSentIn(uint32_t role) const;
  uint32_t TokensSent() const;
  void FitCall();
  void Classify();
  bool Pass(Probe& probe, Device& device, uint32_t pass);
  const PlannedStage* SentStage(const Bytes** bytes) const;
  std::vector<uint32_t> StuckTokens(const PlannedStage& stage) const;
  trace::InputMatch Compare(Probe& probe, Device& device, const Candidate& candidate,
                            const std::vector<SentRow>& rows) const;

  WorkspaceEvidence found_;
  const Workspace& workspace_;
  Options options_;
  // Behind Workspace::sizes_address.
  struct Sizes {
    uint64_t clear_elements = 0;
    uint64_t generation_bytes = 0;
  };
  Sizes sizes_;
  // Of a layout with a counter for each block: as read last, and what is known of the call under
  // way.
  std::vector<uint32_t> counters_;
  std::optional<uint32_t> phase_;
  std::vector<PlannedStage> stages_;
  std::vector<Bytes> first_, second_;  // by planned stage
};

}  // namespace lamplight::shim
