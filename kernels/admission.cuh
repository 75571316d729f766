// Whether a call may touch its workspace at all, judged by every thread alike before the first
// store. Device code.
#pragma once

#include "kernels/trouble.cuh"

namespace lamplight::kernels {

LAMPLIGHT_DEVICE bool Aligned(const void* address) {
  return (reinterpret_cast<uint64_t>(address) & 15) == 0;
}

LAMPLIGHT_DEVICE bool TensorsAligned(const CollectiveCall& call) {
  return Aligned(call.input) && Aligned(call.residual_in) && Aligned(call.gamma) &&
         Aligned(call.output) && Aligned(call.residual_out) && Aligned(call.local) &&
         Aligned(call.multicast);
}

// What is wrong with a call, whatever the state of its workspace: known ahead of the grids in
// front's end, and free there.
template <class X>
LAMPLIGHT_DEVICE Trouble TroubleOf(const CollectiveCall& call, const typename X::Position& place,
                                   Kernel kernel) {
  return TensorsAligned(call) ? X::AdmitCall(call, place, kernel) : Trouble::kMisaligned;
}

// Behind the grids in front, the call having no such trouble. False: the call was reported and must
// write nothing but NaN.
template <class Exchange>
LAMPLIGHT_DEVICE bool Admitted(const CollectiveCall& call, const Exchange& exchange, bool reports) {
  const Trouble trouble = exchange.Admit();
  if (trouble == Trouble::kNothing) return true;
  if (reports) Report(&call, exchange.standing(), trouble, {}, 0, {});
  return false;
}

}  // namespace lamplight::kernels
