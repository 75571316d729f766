// What a rank has sent lies in its own buffer as well, whoever of the grid puts it there: evidence
// of a stuck call is read from it.
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/protocol.cuh"
#include "tests/unit/kernels/rank_group.h"
#include "tests/unit/kernels/reference.h"

namespace lamplight::kernels {
namespace {

struct Form {
  const char* name;
  Protocol protocol;
  uint32_t tokens;  // on a device of one multiprocessor
  KernelForm form;
};
constexpr Form kFormsOfCalls[] = {
    {"mnnvl_plain", Protocol::kMnnvl, 5, KernelForm::kPlain},
    {"mnnvl_streamed", Protocol::kMnnvl, 60, KernelForm::kStreamed},
    {"unicast_plain", Protocol::kUnicast, 5, KernelForm::kPlain},
    {"unicast_streamed", Protocol::kUnicast, 60, KernelForm::kStreamed},
    {"unicastwords_streamed", Protocol::kUnicastInWords, 60, KernelForm::kStreamed},
};

class OwnCopy : public testing::TestWithParam<Form> {};

uint64_t SlotOf(Protocol protocol, uint32_t token, uint32_t rank, const Work& work) {
  if (protocol == Protocol::kMnnvl) return protocol::OneShotSlot(token, rank, 2, work.hidden);
  return (uint64_t{rank} * work.tokens + token) * work.hidden;
}

TEST_P(OwnCopy, IsInTheGenerationOfTheCall) {
  const Form& form = GetParam();
  const Work work{.tokens = form.tokens, .hidden = 64};
  RankGroup group({.protocol = form.protocol, .generation_bytes = 1 << 16, .headers = false});
  group.limits = {1, 9};
  LaunchPlan plan;
  ASSERT_TRUE(PlanLaunch(IdFor(work.kernel, form.protocol, work.data_type, 2), work.tokens,
                         work.hidden, work.quantisation, group.limits, &plan));
  ASSERT_EQ(plan.form, form.form);
  std::vector<Tensors> tensors = RandomTensors(2, work, 3);
  group.DoAll(work, tensors);
  const uint64_t row_bytes = uint64_t{work.hidden} * BytesOf(work.data_type);
  for (uint32_t rank = 0; rank < 2; ++rank) {
    for (uint32_t token = 0; token < work.tokens; ++token) {
      const char* sent = tensors[rank].input.As() + token * row_bytes;
      const char* kept = group.buffer(rank).As() +
                         SlotOf(form.protocol, token, rank, work) * BytesOf(work.data_type);
      ASSERT_EQ(std::memcmp(sent, kept, row_bytes), 0) << "rank " << rank << " token " << token;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, OwnCopy, testing::ValuesIn(kFormsOfCalls),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace lamplight::kernels
