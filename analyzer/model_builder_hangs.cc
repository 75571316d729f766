// Hangs first, then the evidence that names them, and what kernels have reported.
#include "analyzer/model_builder_hangs.h"

#include <algorithm>

#include "analyzer/model_builder_events.h"
#include "analyzer/replay_progress.h"

namespace lamplight {
namespace {

std::vector<uint32_t> Positions(const uint32_t (&positions)[4]) {
  std::vector<uint32_t> known(std::begin(positions), std::end(positions));
  std::erase(known, trace::kNoId);
  return known;
}

kernels::Diagnostic ReportOf(const trace::Trouble& record) {
  kernels::Diagnostic report{};
  report.trouble = record.kind;
  report.workspace = record.buffer;
  report.epoch = record.epoch;
  report.waited_ns = record.waited_ns;
  report.index = record.index;
  report.rank = record.rank;
  report.peer = record.peer;
  report.token = record.token;
  report.word = record.word;
  report.stage = record.stage;
  std::copy(std::begin(record.bits), std::end(record.bits), report.bits);
  report.arrivals = record.arrivals;
  report.tokens = record.tokens;
  report.hidden = record.hidden;
  report.kind = record.call_kind;
  report.peer_tokens = record.peer_tokens;
  report.peer_hidden = record.peer_hidden;
  report.peer_kind = record.peer_kind;
  return report;
}

class HangBuilder {
 public:
  HangBuilder(const TraceFile& trace, ProcessIds* ids, Model* model)
      : ids_(*ids), model_(*model), trace_(trace) {}

  void Build() {
    for (const RecordView& view : trace_.definitions) {
      if (view.type() == trace::RecordType::kHang) AddHang(*view.As<trace::Hang>());
    }
    for (const RecordView& view : trace_.definitions) AddEvidence(view);
  }

 private:
  void AddHang(const trace::Hang& record) {
    Hang hang;
    hang.process = ids_.process;
    hang.id = record.hang_id;
    hang.exec = record.exec_id == 0 ? kNone : ids_.execs.Find(record.exec_id);
    hang.stream = ids_.streams.Find(record.stream_id);
    hang.workspace = record.workspace_id == 0 ? kNone : ids_.workspaces.Find(record.workspace_id);
    hang.replay = record.replay;
    hang.detected_ns = ids_.shift.Apply(record.detected_ns);
    if (hang.exec != kNone) PlaceAtReplay(record, &hang);
    hang.replays_launched = record.replays_launched;
    hang.replays_completed = record.replays_completed;
    hang.launched_ns = ids_.shift.Apply(record.launched_ns);
    hang.timeout_ns = record.timeout_ns;
    hang.op_before = record.op_before;
    hang.launch_returned = record.launch_returned != 0;
    hang.side_channel = static_cast<trace::SideChannel>(record.side_channel);
    hang.side_error = record.side_error;
    ids_.hangs.Add(record.hang_id, Append(&model_.hangs, std::move(hang)));
  }

  // The watchdog names the oldest replay that it does not know complete. Where replays are queued,
  // snapshots that reached the trace by then tell more: those before them are complete, and where
  // one is past its collectives, a launched successor is the one to look at.
  void PlaceAtReplay(const trace::Hang& record, Hang* hang) {
    const Exec& exec = model_.execs[hang->exec];
    hang->replay_index = FindReplay(model_, exec, record.replay);
    while (hang->replay_index != kNone &&
           PastItsCollectives(model_, hang->replay_index, hang->detected_ns)) {
      const Index next = FindReplay(model_, exec, hang->replay + 1);
      if (next == kNone || model_.replays[next].launched_ns > hang->detected_ns) return;
      hang->replay_index = next;
      ++hang->replay;
    }
  }

  void AddEvidence(const RecordView& view) {
    switch (view.type()) {
      case trace::RecordType::kFlagsRead:
        return Add(*view.As<trace::FlagsRead>());
      case trace::RecordType::kSlotState:
        return Add(*view.As<trace::SlotState>());
      case trace::RecordType::kInputMatch:
        return Add(*view.As<trace::InputMatch>());
      case trace::RecordType::kPeerHeader:
        return Add(*view.As<trace::PeerHeader>());
      case trace::RecordType::kTrouble:
        return Add(*view.As<trace::Trouble>());
      case trace::RecordType::kHostThread:
        return Add(*view.As<trace::HostThread>(), view);
      case trace::RecordType::kText:
        return Add(*view.As<trace::Text>(), view);
      case trace::RecordType::kHangEnd:
        return Add(*view.As<trace::HangEnd>());
      default:
        return;
    }
  }

  // Null: the hang's own record is lost, and evidence of it says nothing.
  Hang* HangOf(uint32_t id) {
    const Index index = ids_.hangs.Find(id);
    if (index == kNone) ids_.dangling = true;
    return index == kNone ? nullptr : &model_.hangs[index];
  }

  void Add(const trace::FlagsRead& record) {
    Hang* hang = HangOf(record.hang_id);
    if (hang == nullptr) return;
    FlagsRead read;
    read.workspace = ids_.workspaces.Find(record.workspace_id);
    read.pass = record.pass;
    read.status = static_cast<trace::SideChannel>(record.status);
    read.begin_ns = ids_.shift.Apply(record.begin_ns);
    read.end_ns = ids_.shift.Apply(record.end_ns);
    read.words = std::min<uint32_t>(record.words, read.word.size());
    std::copy_n(record.word, read.word.size(), read.word.begin());
    hang->flags.push_back(read);
  }

  void Add(const trace::SlotState& record) {
    Hang* hang = HangOf(record.hang_id);
    if (hang == nullptr) return;
    SlotState slot;
    slot.workspace = ids_.workspaces.Find(record.workspace_id);
    slot.generation = record.generation;
    slot.stage = record.stage;
    slot.peer = record.peer;
    slot.token = record.token;
    slot.role = record.role;
    slot.words = record.words;
    slot.sentinel = record.sentinel;
    slot.alias = record.alias;
    slot.arrived = record.arrived;
    slot.changed = record.changed;
    slot.first_sentinel = Positions(record.first_sentinel);
    slot.first_alias = Positions(record.first_alias);
    slot.stored = record.stored_sentinel;
    slot.stored_leading = record.stored_leading;
    slot.first_stored = Positions(record.first_stored);
    hang->slots.push_back(std::move(slot));
  }

  void Add(const trace::InputMatch& record) {
    Hang* hang = HangOf(record.hang_id);
    if (hang == nullptr) return;
    hang->inputs.push_back({ids_.workspaces.Find(record.workspace_id), record.node,
                            record.generation, record.rows, record.equal});
  }

  void Add(const trace::PeerHeader& record) {
    Hang* hang = HangOf(record.hang_id);
    if (hang == nullptr) return;
    PeerHeader header;
    header.workspace = ids_.workspaces.Find(record.workspace_id);
    header.peer = record.peer;
    header.announced = record.announced != 0;
    header.sequence = record.sequence;
    header.tokens = record.tokens;
    header.hidden = record.hidden;
    header.kind = record.kind;
    header.own_sequence = record.own_sequence;
    header.own_tokens = record.own_tokens;
    header.own_hidden = record.own_hidden;
    header.own_kind = record.own_kind;
    hang->headers.push_back(header);
  }

  void Add(const trace::Trouble& record) {
    Trouble trouble;
    trouble.process = ids_.process;
    trouble.workspace = ids_.workspaces.Find(record.workspace_id);
    if (trouble.workspace == kNone) ids_.dangling = true;
    trouble.time_ns = ids_.shift.Apply(record.header.time_ns);
    trouble.swapped = (record.flags & trace::kTroubleSwapped) != 0;
    trouble.repeated = record.repeated;
    trouble.report = ReportOf(record);
    model_.troubles.push_back(trouble);
  }

  void Add(const trace::HostThread& record, const RecordView& view) {
    Hang* hang = HangOf(record.hang_id);
    if (hang == nullptr) return;
    hang->threads.push_back({record.tid, view.Text(record.name), ids_.sites.Find(record.site_id)});
  }

  void Add(const trace::Text& record, const RecordView& view) {
    std::string text = view.Text(record.text, true);
    if (record.hang_id == 0) {
      model_.notes.push_back({ids_.process, view.Text(record.text)});
    } else if (Hang* hang = HangOf(record.hang_id)) {
      hang->texts.push_back({static_cast<trace::TextKind>(record.kind), std::move(text)});
    }
  }

  void Add(const trace::HangEnd& record) {
    Hang* hang = HangOf(record.hang_id);
    if (hang == nullptr) return;
    hang->ended = true;
    hang->ended_ns = ids_.shift.Apply(record.header.time_ns);
  }

  ProcessIds& ids_;
  Model& model_;
  const TraceFile& trace_;
};

}  // namespace

void AddHangs(const TraceFile& trace, ProcessIds* ids, Model* model) {
  HangBuilder(trace, ids, model).Build();
}

}  // namespace lamplight
