// What a node's mark says of its runs, whole and under way.
#include "shim/marks.h"

#include <gtest/gtest.h>

#include "kernels/collective_call.h"

namespace lamplight::shim {
namespace {

using kernels::kShare;
using kernels::kWholeCall;
using kernels::LargeShare;

NodeMark MarkAt(uint64_t progress) {
  NodeMark mark{};
  mark.progress = progress;
  mark.gpu_ns = 7;
  for (uint32_t i = 0; i < kSnapshotWords; ++i) mark.word[i] = 100 + i;
  return mark;
}

TEST(Marks, CountOnlyRunsThatHaveEnded) {
  constexpr uint32_t kClusters = 5;
  EXPECT_EQ(RunsIn(MarkAt(0)), 0u);
  EXPECT_EQ(RunsIn(MarkAt(4 * kShare)), 0u) << "all but the one with the large share";
  EXPECT_EQ(RunsIn(MarkAt(LargeShare(kClusters) + 3 * kShare)), 0u) << "all but one";
  EXPECT_EQ(RunsIn(MarkAt(LargeShare(kClusters) + 4 * kShare)), 1u);
  EXPECT_EQ(RunsIn(MarkAt(3 * kWholeCall + kShare)), 3u);
}

TEST(Marks, GiveTheWordsOfAWholeRun) {
  trace::Mark to{};
  TakeWords(MarkAt(2 * kWholeCall), 5, &to);
  EXPECT_EQ(to.words, 5u);
  EXPECT_EQ(to.gpu_ns, 7u);
  for (uint32_t i = 0; i < 12; ++i) EXPECT_EQ(to.word[i], i < 5 ? 100 + i : 0) << i;
  TakeWords(MarkAt(kWholeCall), 40, &to);
  EXPECT_EQ(to.words, kSnapshotWords);
}

// They may be those of the run under way, or not.
TEST(Marks, GiveNoWordsWhileAnotherRunIsUnderWay) {
  trace::Mark to{};
  TakeWords(MarkAt(2 * kWholeCall), 9, &to);
  TakeWords(MarkAt(2 * kWholeCall + kShare), 9, &to);
  EXPECT_EQ(to.words, 0u);
  EXPECT_EQ(to.gpu_ns, 0u);
  for (const uint32_t word : to.word) EXPECT_EQ(word, 0u);
}

}  // namespace
}  // namespace lamplight::shim
