// A merge of the ranks' timelines.
#include "analyzer/detectors/aligned_operations.h"

#include <algorithm>

namespace lamplight {

AlignedOperations::AlignedOperations(const Model& model, const Communicator& communicator)
    : model_(model) {
  for (const Index workspace : communicator.members) {
    if (workspace != kNone) cursors_.push_back({workspace, 0, {}, 0});
  }
}

bool AlignedOperations::Fill(Cursor* cursor) const {
  const size_t turns = model_.workspaces[cursor->workspace].timeline.size();
  while (cursor->at >= cursor->operations.size()) {
    if (cursor->next_turn >= turns) return false;
    cursor->operations = OperationsOf(model_, cursor->workspace, cursor->next_turn++);
    std::erase_if(cursor->operations,
                  [](const Operation& operation) { return !operation.call->advances(); });
    cursor->at = 0;
  }
  return true;
}

std::vector<AlignedOperations::Member> AlignedOperations::Next() {
  uint64_t op = ~uint64_t{0};
  std::vector<Cursor*> open;
  for (Cursor& cursor : cursors_) {
    if (!Fill(&cursor)) continue;
    open.push_back(&cursor);
    op = std::min(op, cursor.operations[cursor.at].op);
  }
  std::vector<Member> members;
  for (Cursor* cursor : open) {
    if (cursor->operations[cursor->at].op != op) continue;
    members.push_back({cursor->workspace, cursor->operations[cursor->at++]});
  }
  return members;
}

}  // namespace lamplight
