// What the name and the layout of one of the field's kernels say about all of its launches. Pure;
// thread-safe.
#pragma once

#include <string>

#include "kernels/collective_call.h"
#include "shim/lamport/recognition.h"

namespace lamplight::shim {

// How a launch's parameters are laid out; the eras of docs/hazards.md.
enum class FieldLayout : uint8_t {
  kOneShotC,
  kOneShotD,
  kOneShotByValue,  // E, G
  kTwoShotCD,
  kTwoShotByValue,
  kNormC,
  kNormD,
  kNormByValue,
  kUnicastUnbiased,  // non-MNNVL one-shot, 0.2.9 to 0.6.10: no weight bias
  kUnicast,          // 0.6.11 and later
  // TensorRT-LLM's F: one struct by value too, but another. Its C is laid out as kOneShotC,
  // kTwoShotCD and kNormC.
  kPatternOneShot,
  kPatternTwoShot,
  kPatternNorm,
  kPatternUnicast,  // and its non-MNNVL one-shot, 1.0 and later
};

struct FieldKernel {
  FieldLayout layout{};
  kernels::DataType data_type{};
  uint32_t world = 0;
  bool norms = false;    // one-shot: with residual and norm
  bool waits = false;    // two-shot: awaits the sums itself
  bool no_norm = false;  // the norm is not stored, only quantised
  kernels::Quantisation quantisation{};
  int32_t pattern = -1;      // kPatternUnicast: AllReduceFusionPattern; negative: not known
  bool sizes_apart = false;  // the same: lamport::Recognition::sizes_slot
};

// Null with `out` filled; else why no kernel of ours can stand for it. Allocates.
const char* DescribeFieldKernel(const lamport::Recognition& recognition, const std::string& symbol,
                                FieldKernel* out);

}  // namespace lamplight::shim
