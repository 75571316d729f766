#include "tests/gpu/kernels/random_jobs.h"

#include <algorithm>

#include "tests/unit/kernels/reference.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr uint32_t kHidden[] = {16, 48, 64, 128, 240, 256, 512, 1040, 2048, 2880, 4096, 7168, 8192};

template <class T, size_t n>
const T& Any(const T (&of)[n], std::mt19937* random) {
  return of[(*random)() % n];
}

}  // namespace

Job RandomJob(const Group& group, uint64_t max_elements, std::mt19937* random) {
  constexpr DataType kTypes[] = {DataType::kBf16, DataType::kFp16, DataType::kFp32};
  constexpr Quantisation kQuantisations[] = {Quantisation::kNone,        Quantisation::kNone,
                                             Quantisation::kNone,        Quantisation::kFp8,
                                             Quantisation::kFp8PerToken, Quantisation::kNvfp4};
  Job job;
  Work& work = job.work;
  work.kernel = (*random)() % 2 == 0 ? Kernel::kOneShot : Kernel::kTwoShot;
  work.data_type = Any(kTypes, random);
  work.norm = (*random)() % 3 != 0;
  work.quantisation = Any(kQuantisations, random);
  if (work.quantisation == Quantisation::kNvfp4 && (*random)() % 2 == 0) {
    work.scale_layout = ScaleLayout::kLinear;
  }
  work.weight_bias = (*random)() % 4 == 0 ? 1.0f : 0.0f;
  do {
    work.hidden = Any(kHidden, random);
  } while (work.hidden > max_elements);
  job.residual = (*random)() % 4 != 0;
  job.pdl = (*random)() % 4 != 0;
  if ((*random)() % 4 == 0) {
    const InPlace places[] = {InPlace::kOutputOverInput, InPlace::kSumsOverInput,
                              InPlace::kSumsOverResidual, InPlace::kOutputOverResidual};
    const uint32_t possible = !work.norm ? 1 : !job.residual ? 2 : 4;
    job.in_place = places[(*random)() % possible];
  }
  // Behind every call there are only others of the library and kernels launched without PDL.
  job.followers_wait = (*random)() % 2 == 0;
  const uint32_t most =
      static_cast<uint32_t>(std::min<uint64_t>(group.MaxTokens(work), max_elements / work.hidden));
  const uint32_t few = std::min(most, 2 * group.world() + 1);
  // Half of the calls are small, as a decoder's are.
  work.tokens = 1 + (*random)() % ((*random)() % 2 == 0 ? few : most);
  return job;
}

std::vector<Tensors> InputsFor(const Job& job, uint32_t world, uint32_t seed) {
  std::vector<Tensors> tensors = RandomTensors(world, job.work, seed);
  const float scale = job.work.quantisation == Quantisation::kFp8 ? 0.0375f : 150.0f;
  for (Tensors& one : tensors) one.output_scale = scale;
  return tensors;
}

}  // namespace lamplight::kernels::gpu
