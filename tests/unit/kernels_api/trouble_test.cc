// What kernels report reaches the caller, without any CUDA call.
#include <gtest/gtest.h>

#include "kernels/host/workspace.h"
#include "ranks.h"

namespace lamplight::kernels::test {
namespace {

lamplight_trouble Query(const lamplight_workspace* workspace) {
  lamplight_trouble trouble{};
  trouble.struct_size = sizeof trouble;
  EXPECT_EQ(LAMPLIGHT_OK, lamplight_workspace_query(workspace, &trouble)) << LastError();
  return trouble;
}

std::string TextOf(const lamplight_trouble& trouble) {
  char text[300];
  EXPECT_LT(lamplight_trouble_text(&trouble, text, sizeof text), sizeof text);
  return text;
}

// As a kernel of rank 1 leaves it.
Diagnostic Timeout() {
  Diagnostic diagnostic{};
  diagnostic.claim = 1;
  diagnostic.trouble = static_cast<uint32_t>(Trouble::kTimeout);
  diagnostic.workspace = 0xabc000;
  diagnostic.epoch = 17;
  diagnostic.waited_ns = 10'250'000'000;
  diagnostic.index = 1;
  diagnostic.rank = 1;
  diagnostic.peer = 3;
  diagnostic.token = 5;
  diagnostic.word = 96;
  diagnostic.stage = 0;
  diagnostic.bits[0] = 0x80000000;
  diagnostic.arrivals = 2;
  diagnostic.tokens = 8;
  diagnostic.hidden = 4096;
  return diagnostic;
}

class TroubleOf : public testing::Test {
 protected:
  lamplight_workspace* workspace() const { return ranks_.workspace(1); }
  void Report(const Diagnostic& diagnostic) { *workspace()->impl->trouble() = diagnostic; }

  Ranks ranks_{4};
};

TEST_F(TroubleOf, AFreshWorkspaceIsNone) {
  const lamplight_trouble trouble = Query(workspace());
  EXPECT_EQ(static_cast<uint32_t>(LAMPLIGHT_TROUBLE_NONE), trouble.kind);
  EXPECT_EQ(0u, trouble.workspace);
  EXPECT_EQ("no trouble", TextOf(trouble));
}

TEST_F(TroubleOf, ATimeoutHasAllFields) {
  Report(Timeout());
  const lamplight_trouble trouble = Query(workspace());
  EXPECT_EQ(static_cast<uint32_t>(LAMPLIGHT_TROUBLE_TIMEOUT), trouble.kind);
  EXPECT_EQ(0xabc000u, trouble.workspace);
  EXPECT_EQ(3u, trouble.peer);
  EXPECT_EQ(5u, trouble.token);
  EXPECT_EQ(96u, trouble.word);
  EXPECT_EQ(0x80000000u, trouble.bits[0]);
  EXPECT_EQ(
      "rank 1 waits for rank 3 since 10.250 s: token 5, word 96, stage 0 of generation 1 holds "
      "80000000 (call 17, 8 tokens of 4096)",
      TextOf(trouble));
}

// What the device counts in both halves of a word is told in clusters.
TEST_F(TroubleOf, ArrivalsAreClusters) {
  Diagnostic diagnostic = Timeout();
  diagnostic.arrivals = 0x00030003;
  Report(diagnostic);
  EXPECT_EQ(3u, Query(workspace()).arrivals);
}

TEST_F(TroubleOf, AResidueSaysHowManyWereLeft) {
  Diagnostic diagnostic = Timeout();
  diagnostic.trouble = static_cast<uint32_t>(Trouble::kArrivalResidue);
  diagnostic.word = 6;
  Report(diagnostic);
  const lamplight_trouble trouble = Query(workspace());
  EXPECT_EQ(6u, trouble.arrivals);
  EXPECT_EQ(0u, trouble.word);
  EXPECT_EQ(0u, TextOf(trouble).find("rank 1 found 6 arrivals left over in a call of 8 tokens"));
}

// Swapped kernels run on workspaces that count no calls.
TEST_F(TroubleOf, ATimeoutWithoutACountNamesNoCall) {
  Diagnostic diagnostic = Timeout();
  diagnostic.epoch = 0;
  Report(diagnostic);
  EXPECT_NE(std::string::npos,
            TextOf(Query(workspace())).find("holds 80000000 (8 tokens of 4096)"));
}

TEST_F(TroubleOf, ADivergenceShowsBothCalls) {
  Diagnostic diagnostic = Timeout();
  diagnostic.trouble = static_cast<uint32_t>(Trouble::kDivergence);
  diagnostic.peer_tokens = 9;
  diagnostic.peer_hidden = 4096;
  diagnostic.kind = 0x425;
  diagnostic.peer_kind = 0x420;
  Report(diagnostic);
  EXPECT_EQ(
      "rank 1 makes call 17 as two-shot, 8 tokens x 4096 bf16, rank 3 as one-shot, 9 tokens x 4096 "
      "fp16: results that cannot come are NaN",
      TextOf(Query(workspace())));
}

// Else the two calls could read alike.
TEST_F(TroubleOf, ADivergenceOfWorldsNamesThem) {
  Diagnostic diagnostic = Timeout();
  diagnostic.trouble = static_cast<uint32_t>(Trouble::kDivergence);
  diagnostic.tokens = diagnostic.peer_tokens = 1;
  diagnostic.peer_hidden = 4096;
  diagnostic.kind = 0x422;
  diagnostic.peer_kind = 0x222;
  Report(diagnostic);
  EXPECT_EQ(
      "rank 1 makes call 17 as one-shot, 1 token x 4096 fp32 among 4 ranks, rank 3 as one-shot, 1 "
      "token x 4096 fp32 among 2 ranks: results that cannot come are NaN",
      TextOf(Query(workspace())));
}

TEST_F(TroubleOf, EveryKindHasASentence) {
  Diagnostic diagnostic = Timeout();
  for (uint32_t kind = 1; kind <= static_cast<uint32_t>(Trouble::kMisaligned); ++kind) {
    diagnostic.trouble = kind;
    Report(diagnostic);
    const std::string text = TextOf(Query(workspace()));
    EXPECT_EQ(0u, text.find("rank 1 ")) << text;
    EXPECT_EQ(std::string::npos, text.find("does not know")) << text;
  }
  diagnostic.trouble = 77;
  Report(diagnostic);
  EXPECT_NE(std::string::npos, TextOf(Query(workspace())).find("trouble 77"));
}

TEST_F(TroubleOf, ForgettingMakesRoomForTheNext) {
  Report(Timeout());
  EXPECT_EQ(LAMPLIGHT_OK, lamplight_workspace_forget(workspace()));
  EXPECT_EQ(static_cast<uint32_t>(LAMPLIGHT_TROUBLE_NONE), Query(workspace()).kind);
  EXPECT_EQ(0u, workspace()->impl->trouble()->claim);
}

// A kernel has claimed the place and not yet said what for.
TEST_F(TroubleOf, ForgettingLeavesAReportInTheMakingAlone) {
  Diagnostic diagnostic = Timeout();
  diagnostic.trouble = 0;
  Report(diagnostic);
  EXPECT_EQ(LAMPLIGHT_OK, lamplight_workspace_forget(workspace()));
  EXPECT_EQ(1u, workspace()->impl->trouble()->claim);
  EXPECT_EQ(0u, Query(workspace()).peer);
}

TEST_F(TroubleOf, BadArgumentsAreNamed) {
  lamplight_trouble trouble{};
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_query(nullptr, &trouble));
  EXPECT_EQ("workspace is null", LastError());
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_query(workspace(), nullptr));
  EXPECT_EQ("trouble is null", LastError());
  EXPECT_EQ(LAMPLIGHT_ERROR_STRUCT_SIZE, lamplight_workspace_query(workspace(), &trouble));
  EXPECT_NE(std::string::npos, LastError().find("trouble->struct_size is 0"));
  EXPECT_EQ(LAMPLIGHT_ERROR_NULL, lamplight_workspace_forget(nullptr));
}

// A struct that was never set: neither is written through nor read.
TEST_F(TroubleOf, AHugeStructSizeIsRefused) {
  Report(Timeout());
  for (const uint32_t size : {4097u, 0xccccccccu, ~0u}) {
    lamplight_trouble trouble{};
    trouble.struct_size = size;
    EXPECT_EQ(LAMPLIGHT_ERROR_STRUCT_SIZE, lamplight_workspace_query(workspace(), &trouble));
    EXPECT_NE(std::string::npos,
              LastError().find("trouble->struct_size is " + std::to_string(size)));
    EXPECT_EQ(0u, trouble.kind);
    EXPECT_EQ(0u, TextOf(trouble).find("trouble->struct_size is " + std::to_string(size)));
  }
}

// What an older caller lacks is not read: it is somebody else's memory.
TEST_F(TroubleOf, TheTextOfAnOlderCallersIsMadeOfWhatItHas) {
  Report(Timeout());
  lamplight_trouble trouble = Query(workspace());
  trouble.struct_size = offsetof(lamplight_trouble, index);
  const std::string text = TextOf(trouble);
  EXPECT_EQ(0u, text.find("rank 1 waits for rank 3 since 10.250 s: token 0, word 0")) << text;
}

TEST_F(TroubleOf, OlderCallersGetWhatTheyHaveRoomFor) {
  Report(Timeout());
  lamplight_trouble trouble;
  std::memset(&trouble, 0xee, sizeof trouble);
  trouble.struct_size = offsetof(lamplight_trouble, index);
  ASSERT_EQ(LAMPLIGHT_OK, lamplight_workspace_query(workspace(), &trouble));
  EXPECT_EQ(3u, trouble.peer);
  EXPECT_EQ(0xeeeeeeeeu, trouble.index);
  EXPECT_EQ(offsetof(lamplight_trouble, index), trouble.struct_size);
}

TEST_F(TroubleOf, NewerCallersGetZeros) {
  struct {
    lamplight_trouble trouble;
    uint64_t more;
  } newer{{}, 5};
  newer.trouble.struct_size = sizeof newer;
  ASSERT_EQ(LAMPLIGHT_OK, lamplight_workspace_query(workspace(), &newer.trouble));
  EXPECT_EQ(0u, newer.more);
}

}  // namespace
}  // namespace lamplight::kernels::test
