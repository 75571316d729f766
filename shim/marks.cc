// Marks are copied as one block: those of an exec lie side by side.
#include "shim/marks.h"

#include <algorithm>
#include <iterator>

#include "kernels/collective_call.h"

namespace lamplight::shim {
namespace {

bool Tells(const GraphShape::Call& call) {
  return call.decodable && call.enabled && (call.decoded.call.flags & trace::kCallMarks) != 0;
}

}  // namespace

uint64_t RunsIn(const NodeMark& mark) { return mark.progress / kernels::kWholeCall; }

void TakeWords(const NodeMark& from, uint32_t count, trace::Mark* to) {
  to->gpu_ns = 0;
  to->words = 0;
  std::ranges::fill(to->word, 0);
  // The run under way may have left its own by now.
  if (from.progress % kernels::kWholeCall != 0) return;
  to->gpu_ns = from.gpu_ns;
  to->words = static_cast<uint16_t>(std::min<size_t>(count, std::size(from.word)));
  std::copy_n(from.word, to->words, to->word);
}

void Marks::Plan(const Exec& exec) {
  if (exec.in_ring) return;
  const std::lock_guard lock(exec.mutex);
  for (const GraphShape::Call& call : exec.calls) {
    const auto journal = exec.journals.find(call.node);
    if (!Tells(call) || journal == exec.journals.end()) continue;
    places_.push_back({exec.id, call.decoded.call.workspace_id, call.node, journal->second.counter,
                       journal->second.sure.load(std::memory_order_relaxed)});
  }
}

bool Marks::Read(Probe& probe, Device& device) {
  const auto [first, last] = std::ranges::minmax(places_, {}, &Place::mark);
  std::vector<NodeMark> block(last.mark - first.mark + 1);
  CUresult error{};
  if (probe.Read(device, device.MarkAddress(first.mark), block.data(),
                 block.size() * sizeof(NodeMark), kLimit, &error) != trace::SideChannel::kOk) {
    return false;
  }
  const uint32_t base = first.mark;
  for (Place& place : places_) place.seen = block[place.mark - base];
  return true;
}

void Marks::Describe(const Place& place, trace::Mark* mark) const {
  const uint64_t ended = RunsIn(place.seen);
  const Workspace* workspace = workspaces_.ById(place.workspace_id);
  if (ended == 0 || ended > place.sure || workspace == nullptr) return;
  mark->node = place.node;
  mark->run = ended;
  TakeWords(place.seen, workspace->flag_words, mark);
}

std::vector<trace::Mark> Marks::Newest() const {
  std::vector<trace::Mark> newest;
  for (const Place& place : places_) {
    auto mark = std::ranges::find_if(newest, [&](const trace::Mark& known) {
      return known.exec_id == place.exec_id && known.workspace_id == place.workspace_id;
    });
    if (mark == newest.end()) {
      newest.emplace_back();
      mark = newest.end() - 1;
      mark->exec_id = place.exec_id;
      mark->workspace_id = place.workspace_id;
    }
    // Of nodes that have run as often, the one behind.
    if (RunsIn(place.seen) >= mark->run) Describe(place, &*mark);
  }
  return newest;
}

}  // namespace lamplight::shim
