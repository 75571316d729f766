// Reading and writing evidence. Tasks own what they fill: an abandoned one may still be running.
#include "shim/evidence.h"

#include <algorithm>
#include <memory>

#include "kernels/protocol.cuh"
#include "shim/slots.h"
#include "shim/stacks/python_stacks.h"
#include "shim/stacks/stacks.h"

namespace lamplight::shim {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kReadLimit{3000};   // one workspace
constexpr milliseconds kBetweenReads{50};  // far longer than any store takes to land
constexpr milliseconds kThreadLimit{100};
constexpr milliseconds kPythonLimit{1000};
constexpr uint32_t kMaxSlotRecords = 4096;

// The words that name generation and buffer size, by layout.
std::optional<Generation> GenerationOf(trace::FlagLayout layout, const uint32_t* words) {
  switch (layout) {
    case trace::FlagLayout::kEraC:
      return Generation{words[protocol::kCurrentIndex], words[protocol::kBytesPerBuffer]};
    case trace::FlagLayout::kUnicast:  // {counter, syncFlag, lamportFlag, commSizeBytes,
                                       // clearElems}
      return Generation{words[2] % protocol::kGenerations, words[3]};
    default:
      return std::nullopt;
  }
}

// Everything that one side-channel task does and finds.
struct Task {
  const Workspace& workspace;
  trace::LamportCall call{};
  trace::Algorithm algorithm{};
  trace::DataType type{};
  uint64_t max_bytes = 0;
  Absence absence{};

  WorkspaceEvidence found{};
  struct PlannedStage {
    StageLayout layout;
    uint32_t generation;
    uint32_t role;
  };
  std::vector<PlannedStage> stages{};
  std::vector<std::vector<std::byte>> first{}, second{};  // by planned stage

  bool Failed(trace::SideChannel status, CUresult error) {
    found.status = status;
    found.error = error;
    return status != trace::SideChannel::kOk;
  }

  // The device address of the flag words themselves.
  bool FlagAddress(Probe& probe, Device& device, uint64_t* address) {
    *address = workspace.flags_address;
    if (!workspace.indirect) return true;
    CUresult error{};
    return !Failed(probe.Read(device, workspace.flags_address, address, 8, kReadLimit, &error),
                   error);
  }

  bool ReadFlags(Probe& probe, Device& device, uint32_t* words) {
    uint64_t address = 0;
    if (!FlagAddress(probe, device, &address)) return false;
    CUresult error{};
    found.words = std::min<uint32_t>(workspace.flag_words, 16);
    return !Failed(probe.Read(device, address, words, found.words * 4, kReadLimit, &error), error);
  }

  // This rank's own buffer: named by the call, or an entry of the peers array.
  bool LocalAddress(Probe& probe, Device& device) {
    found.local_address = workspace.local_address;
    if (found.local_address != 0 || workspace.peers_address == 0) return true;
    uint64_t slot = workspace.rank;
    if (workspace.layout == trace::FlagLayout::kUnicast) slot += 2ull * workspace.world;
    CUresult error{};
    return !Failed(probe.Read(device, workspace.peers_address + slot * 8, &found.local_address, 8,
                              kReadLimit, &error),
                   error);
  }

  void PlanGeneration(Generation generation, uint32_t role) {
    for (StageLayout& layout : LayoutOf(call, algorithm, type, generation, max_bytes)) {
      stages.push_back({std::move(layout), generation.index, role});
    }
  }

  void PlanSlots() {
    const std::optional<Generation> now = GenerationOf(workspace.layout, found.first);
    if (!now || found.local_address == 0) return;
    const uint32_t following = protocol::NextIndex(now->index);
    PlanGeneration(*now, trace::kSlotCurrent);
    PlanGeneration({protocol::NextIndex(following), now->bytes_per_buffer}, trace::kSlotDirty);
    PlanGeneration({following, now->bytes_per_buffer}, trace::kSlotNext);
  }

  bool ReadStages(Probe& probe, Device& device, std::vector<std::vector<std::byte>>* out) {
    for (const PlannedStage& stage : stages) {
      std::vector<std::byte> bytes(stage.layout.bytes);
      CUresult error{};
      if (Failed(probe.Read(device, found.local_address + stage.layout.begin, bytes.data(),
                            bytes.size(), kReadLimit, &error),
                 error)) {
        return false;
      }
      out->push_back(std::move(bytes));
    }
    return true;
  }

  void Classify() {
    for (size_t i = 0; i < stages.size() && i < first.size() && i < second.size(); ++i) {
      const bool next = stages[i].role == trace::kSlotNext;
      const uint32_t details = next ? 0 : kMaxSlotRecords;
      for (trace::SlotState state :
           ClassifySlots(stages[i].layout, first[i], second[i], details, absence)) {
        state.generation = stages[i].generation;
        // Only the current generation is certainly polled.
        if (stages[i].role != trace::kSlotCurrent) state.role = 0;
        state.role |= stages[i].role;
        found.slots.push_back(state);
      }
    }
  }

  bool Pass(Probe& probe, Device& device, uint32_t pass) {
    found.read_begin_ns[pass] = Recorder::NowNs();
    if (!ReadFlags(probe, device, pass == 0 ? found.first : found.second)) return false;
    if (pass == 0) {
      if (!LocalAddress(probe, device)) return false;
      PlanSlots();
    }
    if (!ReadStages(probe, device, pass == 0 ? &first : &second)) return false;
    found.read_end_ns[pass] = Recorder::NowNs();
    return true;
  }

  void Run(Probe& probe, Device& device) {
    if (!Pass(probe, device, 0)) return;
    const timespec pause{0, kBetweenReads.count() * 1000000L};
    nanosleep(&pause, nullptr);
    if (Pass(probe, device, 1)) Classify();
  }
};

}  // namespace

std::vector<WorkspaceEvidence> EvidenceReader::Read(const std::vector<Suspect>& suspects,
                                                    Device* device) {
  std::vector<WorkspaceEvidence> all;
  for (const Suspect& suspect : suspects) {
    WorkspaceEvidence& evidence = all.emplace_back();
    evidence.workspace = suspect.workspace;
    evidence.call = suspect.call;
    evidence.compare = suspect.function->recognition.compare;
    if (device == nullptr) continue;
    const lamport::Recognition& kernel = suspect.function->recognition;
    auto task = std::make_shared<Task>(Task{.workspace = *suspect.workspace,
                                            .call = suspect.call,
                                            .algorithm = kernel.algorithm,
                                            .type = kernel.data_type,
                                            .max_bytes = session_.config().evidence_bytes,
                                            .absence = {kernel.sentinel},
                                            .found = evidence});
    Probe& probe = probe_;
    const milliseconds limit = kReadLimit * 4 + kBetweenReads;
    const bool finished = probe_.Run(
        *device, [task, &probe, device] { task->Run(probe, *device); }, limit);
    if (finished) {
      evidence = std::move(task->found);
    } else {
      evidence.status = trace::SideChannel::kBlocked;
    }
  }
  return all;
}

std::optional<std::vector<uint32_t>> EvidenceReader::ReadFlags(const Workspace& workspace,
                                                               Device& device) {
  auto task = std::make_shared<Task>(Task{.workspace = workspace});
  Probe& probe = probe_;
  const bool finished = probe_.Run(
      device, [task, &probe, &device] { task->ReadFlags(probe, device, task->found.first); },
      kReadLimit);
  if (!finished || task->found.status != trace::SideChannel::kOk) return std::nullopt;
  return std::vector<uint32_t>(task->found.first, task->found.first + task->found.words);
}

void EvidenceReader::WriteWorkspaces(uint32_t hang_id,
                                     const std::vector<WorkspaceEvidence>& evidence) {
  for (const WorkspaceEvidence& found : evidence) {
    for (uint32_t pass = 0; pass < 2; ++pass) {
      trace::FlagsRead record{};
      record.hang_id = hang_id;
      record.workspace_id = found.workspace->id;
      record.pass = pass;
      record.status = static_cast<uint16_t>(found.status);
      record.words = static_cast<uint16_t>(found.words);
      std::copy_n(pass == 0 ? found.first : found.second, 16, record.word);
      record.local_address = found.local_address;
      record.begin_ns = found.read_begin_ns[pass];
      record.end_ns = found.read_end_ns[pass];
      session_.recorder().Define(trace::RecordType::kFlagsRead, record);
    }
    for (trace::SlotState state : found.slots) {
      state.hang_id = hang_id;
      state.workspace_id = found.workspace->id;
      session_.recorder().Define(trace::RecordType::kSlotState, state);
    }
  }
}

void EvidenceReader::WriteHostThreads(uint32_t hang_id) {
  for (const stacks::ThreadStack& thread : stacks::CaptureAllThreads(kThreadLimit)) {
    RecordBuilder<trace::HostThread> builder(trace::RecordType::kHostThread);
    builder->hang_id = hang_id;
    builder->tid = static_cast<uint32_t>(thread.tid);
    if (thread.answered) builder->site_id = session_.sites().Define(thread.pcs);
    builder.SetString(&trace::HostThread::name, thread.name);
    session_.recorder().Define(builder);
  }
}

void EvidenceReader::WritePythonStacks(uint32_t hang_id) {
  std::string text, why_not;
  if (stacks::PythonStacks(&text, &why_not, kPythonLimit)) {
    WriteText(hang_id, trace::TextKind::kPythonStacks, text);
  } else if (!why_not.empty()) {
    WriteText(hang_id, trace::TextKind::kNote, "no Python stacks: " + why_not);
  }
}

void EvidenceReader::WriteText(uint32_t hang_id, trace::TextKind kind, const std::string& text) {
  RecordBuilder<trace::Text> builder(trace::RecordType::kText);
  builder->hang_id = hang_id;
  builder->kind = static_cast<uint16_t>(kind);
  builder.SetString(&trace::Text::text, text);
  session_.recorder().Define(builder);
}

}  // namespace lamplight::shim
