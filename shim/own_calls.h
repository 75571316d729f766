// What calls of our own kernels say of themselves to their peers: their kind, the tag of their
// lines, their header. The same functions as in the kernels, for host code.
//
// Pure; thread-safe.
#pragma once

#include <cstdint>

#include "kernels/collective_call.h"
#include "shim/trace_format.h"

namespace lamplight::shim {

// As a header names it; of one-shot and two-shot kernels.
uint32_t KindOf(const trace::LamportCall& call, trace::Algorithm algorithm, trace::DataType type);

// What every line of the call carries that is made after `epoch` others on its workspace.
uint64_t TagOf(const trace::LamportCall& call, trace::Algorithm algorithm, trace::DataType type,
               uint64_t epoch);

// Whether a header that was read is whole. Memory that no call has written to is not.
bool IsWhole(const kernels::Header& header);

}  // namespace lamplight::shim
