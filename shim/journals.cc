// What a journal says.
#include "shim/journals.h"

namespace lamplight::shim {

bool IsOurs(const Function& function) noexcept {
  const lamport::Recognition& recognition = function.recognition;
  return recognition.decoded && function.symbol.starts_with("lamplight_") &&
         recognition.descriptor->parameters.size() == 1 &&
         recognition.descriptor->parameters.front().size == sizeof(kernels::CollectiveCall);
}

bool CanJournal(const Function& function, const lamport::DecodedCall& call) noexcept {
  return (call.call.flags & trace::kCallAdvances) != 0 && IsOurs(function);
}

kernels::Journal EagerJournal(const Device& device, uint32_t workspace_id, uint64_t op) noexcept {
  kernels::Journal journal = device.RingJournal(0);
  journal.workspace_id = workspace_id;
  journal.node = static_cast<uint32_t>(op);
  return journal;
}

void TellNode(const Exec& exec, uint32_t node, uint32_t workspace_id,
              kernels::CollectiveCall* call) noexcept {
  const JournalledNode& journalled = exec.journals.at(node);
  call->journal = exec.in_ring ? exec.device->RingJournal(journalled.counter)
                               : exec.device->MarkJournal(journalled.counter);
  call->journal.exec_id = exec.id;
  call->journal.workspace_id = workspace_id;
  call->journal.node = node;
  if (journalled.followers_wait) call->options |= kernels::kFollowersWait;
}

uint32_t ToldFlag(const Exec& exec) noexcept {
  return exec.in_ring ? trace::kCallJournals : trace::kCallMarks;
}

uint64_t WholeOperation(uint32_t low, uint64_t newest) noexcept {
  const auto distance = static_cast<int32_t>(low - static_cast<uint32_t>(newest));
  return newest + static_cast<uint64_t>(static_cast<int64_t>(distance));
}

}  // namespace lamplight::shim
