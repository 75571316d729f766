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

// False: the call was reported and must write nothing but NaN.
template <class Exchange>
LAMPLIGHT_DEVICE bool Admitted(const CollectiveCall& call, const Exchange& exchange, bool reports) {
  Trouble trouble = exchange.Admit();
  if (!TensorsAligned(call)) trouble = Trouble::kMisaligned;
  if (trouble == Trouble::kNothing) return true;
  if (reports) Report(&call, exchange.standing(), trouble, {}, 0, {});
  return false;
}

}  // namespace lamplight::kernels
