// How the last cluster of a grid finds out that it is the last, whatever was left in the word that
// the clusters count in.
//
// Device code. The word is 0 between calls, in the field as here. Kernels of the field count in it
// one by one: a residue makes them move the flags on while clusters that have not begun still have
// to read them, or wait for ever. Here a cluster counts once in each half of the word. What others
// left is in the lower half only, so the word is n * step + r with n clusters and a residue r, and
// tells both. No thread has to read it at a time when others may already have counted.
#pragma once

#include "kernels/protocol.cuh"
#include "kernels/trouble.cuh"

namespace lamplight::kernels {

// Counts the caller's cluster in; returns the excess of the word over what the last cluster finds
// where nothing was left: 0 for the last one, negative for those before it, in grids of less than
// half the numbers that a half can hold. A cluster alone is the last one, and does not look.
LAMPLIGHT_DEVICE uint32_t CountClusterIn(uint32_t* word) {
  const uint32_t clusters = machine::Clusters();
  if (clusters == 1) return 0;
  const uint32_t before = machine::CountIn(word, protocol::kArrivalStep);
  return before - (clusters - 1) * protocol::kArrivalStep;
}

// Larger grids do not tell.
LAMPLIGHT_DEVICE bool IsResidue(uint32_t excess) {
  return static_cast<int32_t>(excess) > 0 && machine::Clusters() <= 0x7fffu;
}

// Below a step, the excess is what was left, and the cluster the last one. From there on it was
// left by calls of ours, which count in both halves, and nobody knows who is the last.
template <class X>
LAMPLIGHT_COLD void MoveOnDespite(const CollectiveCall* call, Standing standing, uint32_t excess) {
  if (excess < protocol::kArrivalStep) X::MoveOnAnew(*call, standing);
}

}  // namespace lamplight::kernels
