// Reading and writing evidence. Tasks own what they fill: an abandoned one may still be running.
#include "shim/evidence.h"

#include <algorithm>
#include <memory>

#include "shim/marks.h"
#include "shim/stacks/python_stacks.h"
#include "shim/stacks/stacks.h"

namespace lamplight::shim {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kThreadLimit{100};
constexpr milliseconds kPythonLimit{1000};

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
    auto read = std::make_shared<WorkspaceRead>(
        evidence, WorkspaceRead::Options{suspect.call, suspect.function->recognition,
                                         suspect.candidates, session_.config().evidence_bytes});
    Probe& probe = probe_;
    const bool finished = probe_.Run(
        *device, [read, &probe, device] { read->Run(probe, *device); }, WorkspaceRead::kLimit);
    if (!finished) {
      evidence.status = trace::SideChannel::kBlocked;
      continue;
    }
    evidence = read->found();
    // Apart, so that a driver that blocks here does not take the rest along.
    if (probe_.Run(
            *device, [read, &probe, device] { read->CompareInputs(probe, *device); },
            WorkspaceRead::kInputLimit * 2)) {
      evidence.inputs = std::move(read->found().inputs);
    }
  }
  return all;
}

std::optional<std::vector<uint32_t>> EvidenceReader::ReadFlags(Workspace& workspace,
                                                               Device& device) {
  WorkspaceEvidence evidence;
  evidence.workspace = &workspace;
  auto read = std::make_shared<WorkspaceRead>(evidence, WorkspaceRead::Options{});
  Probe& probe = probe_;
  const bool finished = probe_.Run(
      device, [read, &probe, &device] { read->RunFlags(probe, device); },
      WorkspaceRead::kReadLimit);
  if (!finished) return std::nullopt;
  const WorkspaceEvidence& found = read->found();
  if (found.status != trace::SideChannel::kOk) return std::nullopt;
  return std::vector<uint32_t>(found.first, found.first + found.words);
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
    for (trace::PeerHeader header : found.headers) {
      header.hang_id = hang_id;
      header.workspace_id = found.workspace->id;
      session_.recorder().Define(trace::RecordType::kPeerHeader, header);
    }
    for (trace::InputMatch match : found.inputs) {
      match.hang_id = hang_id;
      match.workspace_id = found.workspace->id;
      session_.recorder().Define(trace::RecordType::kInputMatch, match);
    }
  }
}

void EvidenceReader::WriteMarks(uint32_t hang_id, Device* device) {
  if (device == nullptr) return;
  auto marks = std::make_shared<Marks>(session_.workspaces());
  for (const Exec* exec : session_.graphs().ExecsInFlight()) {
    if (exec->device == device) marks->Plan(*exec);
  }
  if (marks->empty()) return;
  auto read = std::make_shared<bool>(false);
  Probe& probe = probe_;
  const bool finished = probe_.Run(
      *device, [marks, read, &probe, device] { *read = marks->Read(probe, *device); },
      Marks::kLimit * 2);
  if (!finished || !*read) return;
  for (trace::Mark mark : marks->Newest()) {
    mark.hang_id = hang_id;
    session_.recorder().Define(trace::RecordType::kMark, mark);
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
