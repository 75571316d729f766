// The order of reads: flags, slots, a pause, flags, slots, inputs.
#include "shim/workspace_read.h"

#include <time.h>

#include <algorithm>
#include <chrono>

#include "kernels/protocol.cuh"
#include "shim/own_calls.h"

namespace lamplight::shim {
namespace {

constexpr uint32_t kMaxSlotRecords = 4096;
constexpr size_t kMaxCandidates = 512;
constexpr size_t kMaxRows = 4;  // of one input
constexpr uint32_t kMaxBlocks = 4096;
constexpr uint32_t kMaxCounters = 8;  // that the evidence holds

// Calls that are complete (kernels/collective_call.h, EpochState).
uint64_t EpochOf(const uint32_t* words) {
  return (uint64_t{words[1]} << 32 | words[0]) / kernels::kWholeCall;
}

// Where a token's slot lies does not depend on how many tokens there are.
bool SlotsStandFast(trace::Algorithm algorithm) {
  return algorithm == trace::Algorithm::kOneShot || algorithm == trace::Algorithm::kTwoShot ||
         algorithm == trace::Algorithm::kRmsNorm;
}

bool SameSlots(trace::Algorithm a, trace::Algorithm b) {
  const auto two_stages = [](trace::Algorithm algorithm) {
    return algorithm == trace::Algorithm::kTwoShot || algorithm == trace::Algorithm::kRmsNorm;
  };
  return a == b || (two_stages(a) && two_stages(b));
}

}  // namespace

bool WorkspaceRead::Failed(trace::SideChannel status, CUresult error) {
  found_.status = status;
  found_.error = error;
  return status != trace::SideChannel::kOk;
}

// The device address of the flag words themselves.
bool WorkspaceRead::FlagAddress(Probe& probe, Device& device, uint64_t* address) {
  *address = workspace_.flags_address;
  if (!workspace_.indirect) return true;
  CUresult error{};
  return !Failed(probe.Read(device, workspace_.flags_address, address, 8, kReadLimit, &error),
                 error);
}

bool WorkspaceRead::ReadFlags(Probe& probe, Device& device, uint32_t* words) {
  uint64_t address = 0;
  if (!FlagAddress(probe, device, &address)) return false;
  CUresult error{};
  found_.words = std::min<uint32_t>(workspace_.flag_words, 16);
  if (workspace_.layout == trace::FlagLayout::kPhases) {
    return ReadCounters(probe, device, address, words);
  }
  if (Failed(probe.Read(device, address, words, found_.words * 4, kReadLimit, &error), error)) {
    return false;
  }
  return workspace_.sizes_address == 0 || ReadSizes(probe, device, words);
}

// Any block may be the one that is stuck: all counters are read.
bool WorkspaceRead::ReadCounters(Probe& probe, Device& device, uint64_t address, uint32_t* words) {
  const uint32_t blocks = options_.call.grid[0] != 0 ? options_.call.grid[0]
                                                     : workspace_.last_eager().call.call.grid[0];
  counters_.resize(std::clamp(blocks, 1u, kMaxBlocks));
  found_.words = std::min<uint32_t>(kMaxCounters, static_cast<uint32_t>(counters_.size()));
  CUresult error{};
  if (Failed(
          probe.Read(device, address, counters_.data(), counters_.size() * 4, kReadLimit, &error),
          error)) {
    return false;
  }
  ShowCounters(phase_.value_or(counters_.front() & 1), words);
  return true;
}

// As many as the evidence holds: of blocks in `phase` first, and where some have gone on, of one of
// those at least.
void WorkspaceRead::ShowCounters(uint32_t phase, uint32_t* words) {
  const auto behind = [phase](uint32_t counter) { return (counter & 1) == phase; };
  std::ranges::stable_partition(counters_, behind);
  std::copy_n(counters_.begin(), found_.words, words);
  if (!behind(counters_.back())) words[found_.words - 1] = counters_.back();
}

// A block that has ended its part of a call is in the next one's phase. But what this rank has sent
// lies in the phase of the call under way, since a call clears all that it has read.
void WorkspaceRead::FitPhase() {
  if (workspace_.layout != trace::FlagLayout::kPhases) return;
  if (TokensSentIn(trace::kSlotCurrent) == 0 && TokensSentIn(trace::kSlotNext) > 0) {
    for (PlannedStage& stage : stages_) {
      stage.role = stage.role == trace::kSlotNext ? trace::kSlotCurrent : trace::kSlotNext;
    }
  }
  for (const PlannedStage& stage : stages_) {
    if (stage.role == trace::kSlotCurrent) phase_ = stage.generation;
  }
  if (phase_) ShowCounters(*phase_, found_.first);
}

// What other workspaces of the layout have in their flag words. It is put there, where it fits, so
// that the evidence of both reads alike.
bool WorkspaceRead::ReadSizes(Probe& probe, Device& device, uint32_t* words) {
  uint64_t address = 0;
  CUresult error{};
  if (Failed(probe.Read(device, workspace_.sizes_address, &address, 8, kReadLimit, &error),
             error) ||
      Failed(probe.Read(device, address, &sizes_, sizeof sizes_, kReadLimit, &error), error)) {
    return false;
  }
  if (std::max(sizes_.clear_elements, sizes_.generation_bytes) > UINT32_MAX) return true;
  words[protocol::kUnicastGenerationBytes] = static_cast<uint32_t>(sizes_.generation_bytes);
  words[protocol::kUnicastClearElements] = static_cast<uint32_t>(sizes_.clear_elements);
  found_.words = protocol::kUnicastClearElements + 1;
  return true;
}

// The words that name generation and buffer size, by layout.
std::optional<Generation> WorkspaceRead::GenerationNow() const {
  const uint32_t* words = found_.first;
  const uint64_t bytes = workspace_.sizes_address != 0 ? sizes_.generation_bytes
                                                       : words[protocol::kUnicastGenerationBytes];
  switch (workspace_.layout) {
    case trace::FlagLayout::kEraC:
      return Generation{words[protocol::kCurrentIndex], words[protocol::kBytesPerBuffer]};
    case trace::FlagLayout::kUnicast:
      return Generation{words[protocol::kUnicastIndex] % protocol::kGenerations, bytes};
    case trace::FlagLayout::kEpoch:
      return Generation{static_cast<uint32_t>(EpochOf(words) & 1), workspace_.generation_bytes};
    case trace::FlagLayout::kPhases:
      // Of the first block that is shown; see FitPhase.
      return Generation{words[0] & 1, workspace_.generation_bytes};
    default:
      return std::nullopt;
  }
}

// This rank's own buffer: named by the call, or an entry of the peers array.
bool WorkspaceRead::LocalAddress(Probe& probe, Device& device) {
  found_.local_address = workspace_.local_address;
  if (found_.local_address != 0 || workspace_.peers_address == 0) return true;
  CUresult error{};
  return !Failed(probe.Read(device, workspace_.peers_address + workspace_.rank * 8ull,
                            &found_.local_address, 8, kReadLimit, &error),
                 error);
}

void WorkspaceRead::PlanGeneration(const trace::LamportCall& call, const Generation& generation,
                                   uint32_t role) {
  for (StageLayout& layout : LayoutOf(call, options_.kernel.algorithm, options_.kernel.data_type,
                                      generation, options_.max_bytes)) {
    stages_.push_back({std::move(layout), generation.index, role});
  }
}

// How many calls this rank has completed, as its next header says it.
bool WorkspaceRead::ReadSequence(Probe& probe, Device& device, const uint32_t* words,
                                 uint32_t* sequence) {
  if (workspace_.layout == trace::FlagLayout::kEpoch) {
    *sequence = static_cast<uint32_t>(EpochOf(words));
    return true;
  }
  uint64_t calls = 0;
  CUresult error{};
  const uint64_t address = workspace_.flags_address + offsetof(kernels::MnnvlState, calls);
  if (Failed(probe.Read(device, address, &calls, sizeof calls, kReadLimit, &error), error)) {
    return false;
  }
  *sequence = static_cast<uint32_t>(calls);
  return true;
}

bool WorkspaceRead::ReadHeaders(Probe& probe, Device& device, const uint32_t* words) {
  const uint32_t world = workspace_.world;
  if (workspace_.header_offset == 0 || found_.local_address == 0 || world > kernels::kMaxWorld) {
    return true;
  }
  uint32_t sequence = 0;
  if (!ReadSequence(probe, device, words, &sequence)) return false;
  kernels::Header headers[kernels::kMaxWorld];
  CUresult error{};
  if (Failed(probe.Read(device, found_.local_address + workspace_.header_offset, headers,
                        world * sizeof(kernels::Header), kReadLimit, &error),
             error)) {
    return false;
  }
  found_.headers.clear();
  for (uint32_t peer = 0; peer < world; ++peer) {
    trace::PeerHeader& record = found_.headers.emplace_back();
    record.peer = peer;
    record.own_sequence = sequence;
    if (!IsWhole(headers[peer])) continue;
    record.announced = 1;
    record.sequence = headers[peer].sequence;
    record.tokens = headers[peer].tokens;
    record.hidden = headers[peer].hidden;
    record.kind = headers[peer].kind_and_check >> 16;
  }
  return true;
}

// Calls of one graph may have different shapes. What this rank has announced tells which it is.
void WorkspaceRead::FitCallToHeader() {
  if (!found_.Begun().value_or(false)) return;
  const trace::PeerHeader& own = found_.headers[workspace_.rank];
  for (const Candidate& candidate : options_.candidates) {
    if (candidate.call.tokens != own.tokens || candidate.call.dim != own.hidden) continue;
    if (KindOf(candidate.call, candidate.algorithm, candidate.type) != own.kind) continue;
    options_.call = candidate.call;
    options_.kernel.algorithm = candidate.algorithm;
    options_.kernel.data_type = candidate.type;
    return;
  }
}

// The call that wrote the dirty generation. Where the place of a slot depends on how many tokens
// there are, it is the one whose size the flags hold; nothing: no call that is known.
std::optional<trace::LamportCall> WorkspaceRead::LastCall() const {
  if (SlotsStandFast(options_.kernel.algorithm)) return options_.call;
  const uint64_t elements = workspace_.sizes_address != 0
                                ? sizes_.clear_elements
                                : found_.first[protocol::kUnicastClearElements];
  const auto wrote = [&](const trace::LamportCall& call) {
    return uint64_t{call.tokens} * call.dim * call.world == elements;
  };
  if (wrote(options_.call)) return options_.call;
  const auto last = std::ranges::find_if(options_.candidates, [&](const Candidate& candidate) {
    return candidate.algorithm == options_.kernel.algorithm && wrote(candidate.call);
  });
  if (last == options_.candidates.end()) return std::nullopt;
  return last->call;
}

void WorkspaceRead::PlanSlots() {
  std::optional<Generation> now = GenerationNow();
  stages_.clear();
  if (!now || found_.local_address == 0) return;
  if (workspace_.layout == trace::FlagLayout::kEpoch) {
    now->tag = TagOf(options_.call, options_.kernel.algorithm, options_.kernel.data_type,
                     EpochOf(found_.first));
    return PlanGeneration(options_.call, *now, trace::kSlotCurrent);
  }
  PlanGeneration(options_.call, *now, trace::kSlotCurrent);
  if (workspace_.layout == trace::FlagLayout::kPhases) {
    // Each call clears what it has read before it ends: there is no dirty generation.
    return PlanGeneration(options_.call, {now->index ^ 1, now->bytes_per_buffer}, trace::kSlotNext);
  }
  const uint32_t following = protocol::NextIndex(now->index);
  if (const auto last = LastCall()) {
    PlanGeneration(*last, {protocol::NextIndex(following), now->bytes_per_buffer},
                   trace::kSlotDirty);
  }
  PlanGeneration(options_.call, {following, now->bytes_per_buffer}, trace::kSlotNext);
}

bool WorkspaceRead::ReadStages(Probe& probe, Device& device, std::vector<Bytes>* out) {
  for (const PlannedStage& stage : stages_) {
    Bytes bytes(stage.layout.bytes);
    CUresult error{};
    if (Failed(probe.Read(device, found_.local_address + stage.layout.begin, bytes.data(),
                          bytes.size(), kReadLimit, &error),
               error)) {
      return false;
    }
    out->push_back(std::move(bytes));
  }
  return true;
}

// In the first stage of a generation.
uint32_t WorkspaceRead::TokensSentIn(uint32_t role) const {
  for (size_t i = 0; i < stages_.size() && i < first_.size(); ++i) {
    if (stages_[i].role != role || stages_[i].layout.stage != 0) continue;
    const uint32_t tokens =
        TokensSentBy(workspace_.rank, stages_[i].layout, first_[i], options_.kernel.mark);
    if (tokens > 0) return tokens;
  }
  return 0;
}

// In the current generation, or where nothing has been sent there, in the dirty one.
uint32_t WorkspaceRead::TokensSent() const {
  const uint32_t tokens = TokensSentIn(trace::kSlotCurrent);
  return tokens > 0 ? tokens : TokensSentIn(trace::kSlotDirty);
}

// Calls of one graph may have different token counts. What this rank has sent tells which it is:
// slots of tokens that the stuck call does not have are empty for good and must not count.
void WorkspaceRead::FitCall() {
  const uint32_t sent = TokensSent();
  if (sent == 0 || !SlotsStandFast(options_.kernel.algorithm)) return;
  uint32_t tokens = options_.call.tokens;
  for (const Candidate& candidate : options_.candidates) {
    if (!SameSlots(candidate.algorithm, options_.kernel.algorithm)) return;
    if (candidate.call.dim != options_.call.dim) return;
    if (candidate.call.tokens >= sent) tokens = std::min(tokens, candidate.call.tokens);
  }
  if (tokens == options_.call.tokens) return;
  options_.call.tokens = tokens;
  PlanSlots();
  for (size_t i = 0; i < stages_.size() && i < first_.size(); ++i) {
    first_[i].resize(std::min(first_[i].size(), static_cast<size_t>(stages_[i].layout.bytes)));
  }
}

void WorkspaceRead::Classify() {
  for (size_t i = 0; i < stages_.size() && i < first_.size() && i < second_.size(); ++i) {
    const bool next = stages_[i].role == trace::kSlotNext;
    const uint32_t details = next ? 0 : kMaxSlotRecords;
    if (workspace_.layout == trace::FlagLayout::kPhases && !next) {
      for (Bytes* bytes : {&first_[i], &second_[i]}) {
        FillConsumed(stages_[i].layout, workspace_.rank, options_.kernel.mark, *bytes);
      }
    }
    for (trace::SlotState state :
         ClassifySlots(stages_[i].layout, first_[i], second_[i], details, options_.kernel.mark)) {
      state.generation = stages_[i].generation;
      // Only the current generation is certainly polled.
      if (stages_[i].role != trace::kSlotCurrent) state.role = 0;
      state.role |= stages_[i].role;
      found_.slots.push_back(state);
    }
  }
}

bool WorkspaceRead::Pass(Probe& probe, Device& device, uint32_t pass) {
  found_.read_begin_ns[pass] = Recorder::NowNs();
  if (!ReadFlags(probe, device, pass == 0 ? found_.first : found_.second)) return false;
  if (pass == 0) {
    if (!LocalAddress(probe, device) || !ReadHeaders(probe, device, found_.first)) return false;
    FitCallToHeader();
    PlanSlots();
  } else if (!ReadHeaders(probe, device, found_.second)) {
    return false;
  }
  if (!ReadStages(probe, device, pass == 0 ? &first_ : &second_)) return false;
  if (pass == 0) {
    FitPhase();
    FitCall();
  }
  found_.read_end_ns[pass] = Recorder::NowNs();
  return true;
}

void WorkspaceRead::Run(Probe& probe, Device& device) {
  if (!Pass(probe, device, 0)) return;
  const timespec pause{0, kBetweenReads.count() * 1000000L};
  nanosleep(&pause, nullptr);
  if (!Pass(probe, device, 1)) return;
  Classify();
  found_.call = options_.call;
  for (trace::PeerHeader& header : found_.headers) {
    header.own_tokens = options_.call.tokens;
    header.own_hidden = options_.call.dim;
    header.own_kind = KindOf(options_.call, options_.kernel.algorithm, options_.kernel.data_type);
  }
}

std::optional<bool> WorkspaceEvidence::Begun() const {
  if (workspace->rank >= headers.size()) return std::nullopt;
  const trace::PeerHeader& own = headers[workspace->rank];
  return own.announced != 0 && own.sequence == own.own_sequence;
}

// The first stage of the newest generation that this rank has sent anything in; null: none.
const WorkspaceRead::PlannedStage* WorkspaceRead::SentStage(const Bytes** bytes) const {
  for (const uint32_t role : {trace::kSlotCurrent, trace::kSlotDirty}) {
    for (size_t i = 0; i < stages_.size() && i < second_.size(); ++i) {
      if (stages_[i].role != role || stages_[i].layout.stage != 0) continue;
      const lamport::Mark mark = options_.kernel.mark;
      if (TokensSentBy(workspace_.rank, stages_[i].layout, second_[i], mark) == 0) continue;
      *bytes = &second_[i];
      return &stages_[i];
    }
  }
  return nullptr;
}

std::vector<uint32_t> WorkspaceRead::StuckTokens(const PlannedStage& stage) const {
  std::vector<uint32_t> tokens;
  for (const trace::SlotState& slot : found_.slots) {
    const bool stuck = slot.sentinel > 0 || slot.alias > 0;
    if (stuck && slot.generation == stage.generation && slot.token != trace::kNoId) {
      tokens.push_back(slot.token);
    }
  }
  return tokens;
}

// The generation in the flags leaves every third call in question. Best effort: an input that
// cannot be read leaves its call in question too.
void WorkspaceRead::CompareInputs(Probe& probe, Device& device) {
  const Bytes* bytes = nullptr;
  const PlannedStage* stage = SentStage(&bytes);
  if (stage == nullptr || options_.candidates.size() <= 1) return;
  const SentRows sent = RowsSentBy(workspace_.rank, stage->layout, *bytes, options_.kernel.mark);
  const std::vector<SentRow> rows = Sample(sent.rows, StuckTokens(*stage), kMaxRows);
  const auto end = std::chrono::steady_clock::now() + kInputLimit;
  for (const Candidate& candidate : options_.candidates) {
    if (std::chrono::steady_clock::now() > end || found_.inputs.size() >= kMaxCandidates) return;
    if (candidate.shard_address == 0) continue;
    trace::InputMatch match = Compare(probe, device, candidate, rows);
    match.generation = stage->generation;
    match.plain = sent.plain;
    found_.inputs.push_back(match);
    if (match.status == static_cast<uint16_t>(trace::SideChannel::kTimedOut)) return;
  }
}

trace::InputMatch WorkspaceRead::Compare(Probe& probe, Device& device, const Candidate& candidate,
                                         const std::vector<SentRow>& rows) const {
  trace::InputMatch match{};
  match.node = candidate.node;
  const bool comparable = SameSlots(candidate.algorithm, options_.kernel.algorithm) &&
                          candidate.call.dim == options_.call.dim &&
                          candidate.type == options_.kernel.data_type;
  for (const SentRow& row : rows) {
    if (!comparable || row.token >= candidate.call.tokens) continue;
    const uint64_t address = candidate.shard_address + row.token * uint64_t{row.bytes.size()};
    if (!probe.Mapped(address, row.bytes.size())) {
      match.status = static_cast<uint16_t>(trace::SideChannel::kNotTried);
      break;
    }
    Bytes input(row.bytes.size());
    CUresult error{};
    const trace::SideChannel status =
        probe.Read(device, address, input.data(), input.size(), kInputLimit, &error);
    match.status = static_cast<uint16_t>(status);
    if (status != trace::SideChannel::kOk) break;
    ++match.rows;
    match.equal += EqualButForZeroSigns(row.bytes, input, candidate.type);
  }
  return match;
}

}  // namespace lamplight::shim
