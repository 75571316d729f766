// One collective as the tests of this folder ask for it, and where its tensors lie in the memory of
// a rank. Pure; thread-safe.
#pragma once

#include <string>

#include "lamplight/collective.h"
#include "tests/unit/kernels/rank_group.h"

namespace lamplight::kernels::gpu {

// Which output takes the place of which input.
enum class InPlace : uint8_t {
  kNone,
  kOutputOverInput,
  kSumsOverInput,  // residual_out
  kSumsOverResidual,
  kOutputOverResidual
};

// `work` says what the reference needs; the rest is the call's alone.
struct Job {
  Work work;
  bool residual = true;    // with a norm: LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM, else _RMSNORM
  bool automatic = false;  // LAMPLIGHT_ALGORITHM_AUTO instead of work.kernel
  bool pdl = true;
  bool followers_wait = false;
  InPlace in_place = InPlace::kNone;  // but kOutputOverInput: with a norm, or a residual
};

std::string Describe(const Job& job);
uint32_t DtypeOf(DataType type);
uint32_t AlgorithmOf(const Job& job);

// Offsets in a rank's memory, the same on every rank; kNowhere for what the job has not. Inputs lie
// in [begin, outputs), what the call writes in [outputs, end). Between tensors are guards. What a
// call overwrites is `input` or `residual`, too, and is made anew from `source` before each launch.
struct Placement {
  static constexpr uint64_t kNowhere = ~uint64_t{0};

  uint64_t begin = 0, outputs = 0, end = 0;
  uint64_t input = kNowhere, residual = kNowhere, gamma = kNowhere, output_scale = kNowhere;
  uint64_t source = kNowhere, overwritten = kNowhere;
  uint64_t output = kNowhere, prenorm = kNowhere, quantised = kNowhere, scales = kNowhere;
};

Placement Place(const Job& job, uint64_t begin);
uint64_t QuantisedBytes(const Work& work);
uint64_t ScaleBytes(const Work& work);
lamplight_call CallOf(const Job& job, const Placement& at, char* memory);

}  // namespace lamplight::kernels::gpu
