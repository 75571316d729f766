// Our own kernels leave a snapshot of the flag words themselves when they move them on: where to,
// and in whose name, the shim writes into a copy of their one parameter.
//
// Plain values and functions; thread-safe where the Device is.
#pragma once

#include <cstdint>

#include "kernels/collective_call.h"
#include "shim/device.h"
#include "shim/exec.h"
#include "shim/functions.h"
#include "shim/lamport/recognition.h"

namespace lamplight::shim {

// One of our collective kernels: its only parameter is a CollectiveCall.
bool IsOurs(const Function& function) noexcept;

// Whether this launch leaves a snapshot when it is told where: it is ours and moves the flags on.
bool CanJournal(const Function& function, const lamport::DecodedCall& call) noexcept;

// An eager launch that is `op` advancing calls into its workspace. Always in the ring: launches
// take longer than a store over the bus, and nobody would read the mark of a rank that is idle.
kernels::Journal EagerJournal(const Device& device, uint32_t workspace_id, uint64_t op) noexcept;

// Tells the call of node `node` of `exec` where to journal.
void TellNode(const Exec& exec, uint32_t node, uint32_t workspace_id,
              kernels::CollectiveCall* call) noexcept;
// What then is true of the call: kCallJournals or kCallMarks.
uint32_t ToldFlag(const Exec& exec) noexcept;

// The whole number of an operation, of which an eager journal keeps the low 32 bits. `newest` is a
// number that is at most 2^31 operations away.
uint64_t WholeOperation(uint32_t low, uint64_t newest) noexcept;

}  // namespace lamplight::shim
