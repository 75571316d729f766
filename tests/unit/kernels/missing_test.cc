// A peer played by hand, from the layouts in the protocols' descriptions: it sends everything but
// one word, and the call says which; then it sends that too.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "kernels/trouble_reader.h"
#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"
#include "tests/unit/kernels/troubles.h"

namespace lamplight::kernels {
namespace {

constexpr uint32_t kTokens = 4;
constexpr uint32_t kHidden = 128;
constexpr uint32_t kRowWords = kHidden / 2;  // bf16
// Pairs of lines: 60 words of the row and two tags of two words.
constexpr uint32_t kPairWords = 64;
constexpr uint32_t kRowPairs = 2;

// Rank 1 holds one word back, in the row of a token that rank 0 awaits from it.
struct Hole {
  const char* name;
  Route route;
  uint32_t stage;
  uint32_t token;
  uint32_t word;           // of the row
  uint32_t reported_word;  // the first of its packet or line
};

constexpr Hole kHoles[] = {
    {"oneshot_mnnvl", kRoutes[0], 0, 2, 13, 12},
    {"oneshot_mnnvl_last_word", kRoutes[0], 0, 3, 63, 60},
    {"twoshot_mnnvl_scatter", kRoutes[1], 0, 2, 5, 4},
    {"twoshot_mnnvl_broadcast", kRoutes[1], 1, 3, 62, 60},
    {"sends_mnnvl_broadcast", kRoutes[2], 1, 1, 0, 0},
    {"oneshot_unicast", kRoutes[3], 0, 1, 34, 32},
    {"oneshot_unicastwords", kRoutes[6], 0, 3, 63, 60},
    {"oneshot_unicastwords_apart", kRoutes[7], 0, 1, 33, 32},
    {"oneshot_epoch", kRoutes[4], 0, 2, 40, 30},
    {"oneshot_epoch_second_pair", kRoutes[4], 0, 2, 61, 60},
    {"twoshot_epoch_scatter", kRoutes[5], 0, 0, 0, 0},
    {"twoshot_epoch_broadcast", kRoutes[5], 1, 3, 63, 60},
};

// Rank 1, in the first call of a group of two.
class PeerByHand {
 public:
  PeerByHand(RankGroup* group, const std::vector<Tensors>& tensors, const Work& work)
      : group_(group), tensors_(tensors), work_(work) {}

  // All that rank 0 awaits of `token` in `stage`, but for one word or the tag of its line.
  void Send(uint32_t stage, uint32_t token, uint32_t but = ~0u) {
    for (uint32_t word = 0; word < kRowWords; ++word) {
      if (word != but || lines()) Store(At(stage, token, word), Value(stage, token, word));
    }
    for (uint32_t word = 0; word < kRowPairs * 60 && lines(); word += 30) {
      if (but / 30 != word / 30) Fill(stage, token, word);
    }
  }
  // What was left out: in lines, the tag.
  void Fill(uint32_t stage, uint32_t token, uint32_t word) {
    if (!lines()) return Store(At(stage, token, word), Value(stage, token, word));
    uint32_t* line = Row(stage, token) + word / 60 * kPairWords + word % 60 / 30 * 32;
    std::atomic_ref(*reinterpret_cast<uint64_t*>(line + 30))
        .store(EpochTag(group_->shape(), work_, 1));
  }

 private:
  bool lines() const { return work_protocol() == Protocol::kEpoch; }
  Protocol work_protocol() const { return group_->shape().protocol; }

  uint32_t* Row(uint32_t stage, uint32_t token) const {
    const uint32_t row = lines() ? kRowPairs * kPairWords : kRowWords;
    uint32_t* base = group_->buffer(0).As<uint32_t>();
    const bool one_shot = work_.kernel == Kernel::kOneShot;
    if (IsUnicast(work_protocol())) return base + (kTokens + token) * row;
    if (one_shot) return base + (token * 2 + 1) * row;
    if (stage == 0) return base + (token / 2 * 2 + 1) * row;
    return base + group_->shape().generation_bytes / 8 + token * row;
  }
  uint32_t* At(uint32_t stage, uint32_t token, uint32_t word) const {
    uint32_t* row = Row(stage, token);
    if (!lines()) return row + word;
    // The first tag lies where words 30 and 31 would; those are at the end of the second line.
    const uint32_t in_pair = word % 60;
    const uint32_t place = in_pair < 30 ? in_pair : in_pair < 32 ? in_pair + 30 : in_pair;
    return row + word / 60 * kPairWords + place;
  }
  // Inputs go out as they are here, sums as rank 1 adds them up.
  uint32_t Value(uint32_t stage, uint32_t token, uint32_t word) const {
    const uint64_t i = token * kHidden + 2 * word;
    if (stage == 0) return tensors_[1].input.As<uint32_t>()[i / 2];
    return ExactSum(tensors_, work_.data_type, i) | ExactSum(tensors_, work_.data_type, i + 1)
                                                        << 16;
  }
  static void Store(uint32_t* word, uint32_t value) { std::atomic_ref(*word).store(value); }

  RankGroup* group_;
  const std::vector<Tensors>& tensors_;
  const Work& work_;
};

class Missing : public testing::TestWithParam<Hole> {
 protected:
  Missing() { group.timeout_ns = 2'000'000; }

  // Rank 0's call; `looks` while it waits. False: nothing was reported.
  template <class Look>
  bool Wait(const Look& looks) {
    const bool one_shot = work.kernel == Kernel::kOneShot;
    for (uint32_t token = 0; token < kTokens; ++token) {
      const uint32_t stage = one_shot || token % 2 == 0 ? 0 : 1;
      peer.Send(stage, token, token == hole.token ? hole.word : ~0u);
    }
    std::thread rank0([&] { group.Do(0, work, tensors[0]); });
    const bool reported = Reported(group.diagnostic(0));
    looks();
    peer.Fill(hole.stage, hole.token, hole.word);
    rank0.join();
    return reported;
  }

  const Hole& hole = GetParam();
  const Work work{.kernel = hole.route.kernel, .tokens = kTokens, .hidden = kHidden, .norm = false};
  RankGroup group{ShapeFor(hole.route, 2, work)};
  std::vector<Tensors> tensors = RandomTensors(2, work, 3);
  PeerByHand peer{&group, tensors, work};
};

TEST_P(Missing, WordIsNamedAndAwaited) {
  Diagnostic diagnostic;
  ASSERT_TRUE(Wait([&] { diagnostic = ReadTrouble(group.diagnostic(0)); }));
  EXPECT_EQ(diagnostic.trouble, CodeOf(Trouble::kTimeout));
  EXPECT_EQ(diagnostic.peer, 1u);
  EXPECT_EQ(diagnostic.stage, hole.stage);
  EXPECT_EQ(diagnostic.token, hole.token);
  EXPECT_EQ(diagnostic.word, hole.reported_word);
  // Other tokens have arrived, and in the field's workspaces all have begun to wait; the packet
  // holds what came of it.
  const bool early = hole.route.protocol != Protocol::kEpoch;
  EXPECT_LE(diagnostic.arrivals, early ? kTokens : kTokens - 1);
  if (hole.route.protocol != Protocol::kEpoch) {
    const uint32_t sentinel = SentinelOf(group.shape());
    EXPECT_EQ(diagnostic.bits[hole.word % 4], sentinel);
    EXPECT_NE(diagnostic.bits[(hole.word + 1) % 4], sentinel);
  }
  if (hole.route.protocol == Protocol::kEpoch) {
    // The tag, of no call yet.
    EXPECT_EQ(diagnostic.bits[2], 0u);
    EXPECT_EQ(diagnostic.bits[3], 0u);
  }
  tensors[1].output = tensors[0].output;
  ExpectExact(tensors, work);
}

// Even where the flags have been moved on already.
TEST_P(Missing, LeavesNoWholeMark) {
  NodeMark mark{};
  group.mark = &mark;
  const std::atomic_ref<uint64_t> progress(mark.progress);
  uint64_t meanwhile = kWholeCall;
  ASSERT_TRUE(Wait([&] { meanwhile = progress.load(); }));
  EXPECT_LT(meanwhile, kWholeCall);
  EXPECT_LT(ClustersIn(meanwhile, kTokens), kTokens);
  EXPECT_EQ(progress.load(), kWholeCall);
}

INSTANTIATE_TEST_SUITE_P(Holes, Missing, testing::ValuesIn(kHoles),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace lamplight::kernels
