// Every bit pattern in every lane of a packet, through every protocol and kernel, to the exact bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"

namespace lamplight::kernels {
namespace {

constexpr uint32_t kPatterns = 1u << 16;
// Relative error of a norm in fp32: a sum of hundreds of squares, a root and two products.
constexpr double kNormSlack = 1e-5;

// Elements of one packet: a unit of 16 bytes, or the 15 units of a line.
uint32_t PacketElements(Protocol protocol, DataType type) {
  return (protocol == Protocol::kEpoch ? 120 : 16) / BytesOf(type);
}

// At least `packets` packets, in rows of `packets_in_row` that end with a whole packet.
Work Rows(const Route& route, DataType type, uint32_t packets, uint32_t packets_in_row) {
  return {.kernel = route.kernel,
          .data_type = type,
          .tokens = (packets + packets_in_row - 1) / packets_in_row,
          .hidden = packets_in_row * PacketElements(route.protocol, type),
          .norm = false};
}

class Patterns : public testing::TestWithParam<Route> {
 protected:
  // `pattern(rank, packet, lane)` gives the inputs.
  template <class Pattern>
  void Check(RankGroup& group, const Work& work, Pattern pattern) {
    const uint32_t lanes = PacketElements(GetParam().protocol, work.data_type);
    std::vector<Tensors> tensors;
    for (uint32_t rank = 0; rank < group.shape().world; ++rank) {
      Memory& input = tensors.emplace_back(work).input;
      for (uint64_t i = 0; i < work.elements(); ++i) {
        SetBits(&input, work.data_type, i,
                pattern(rank, static_cast<uint32_t>(i / lanes), static_cast<uint32_t>(i % lanes)));
      }
    }
    group.DoAll(work, tensors);
    ExpectExact(tensors, work);
    for (uint32_t rank = 0; rank < group.shape().world; ++rank) {
      ASSERT_EQ(group.diagnostic(rank).trouble, 0u);
    }
  }

  // Few fibers with long rows: one block of 512 threads for each token.
  std::unique_ptr<RankGroup> GroupFor(const Work& work, uint32_t world = 2) {
    auto group = std::make_unique<RankGroup>(ShapeFor(GetParam(), world, work));
    group->limits = {108, 8};
    return group;
  }

  static void SetGamma(std::vector<Tensors>* tensors, const Work& work, double weight) {
    for (Tensors& one : *tensors) {
      for (uint32_t i = 0; i < work.hidden; ++i) {
        SetBits(&one.gamma, work.data_type, i, NearestBits(work.data_type, weight));
      }
    }
  }
  // A row of a norm, from the sums that it left.
  void ExpectNormed(const std::vector<Tensors>& tensors, const Work& work, uint32_t token);

  void CheckAllPatterns(DataType type);
  void CheckPairs(DataType type, uint32_t world, const std::vector<uint32_t>& words);
};

void Patterns::ExpectNormed(const std::vector<Tensors>& tensors, const Work& work, uint32_t token) {
  const Tensors& one = tensors[0];
  const DataType type = work.data_type;
  const uint64_t row = uint64_t{token} * work.hidden;
  double squares = 0;
  for (uint32_t i = 0; i < work.hidden; ++i) {
    squares += std::pow(ToDouble(one.prenorm, type, row + i), 2);
  }
  if (squares > static_cast<double>(std::numeric_limits<float>::max())) {
    squares = std::numeric_limits<double>::infinity();
  }
  const double scale = 1 / std::sqrt(squares / work.hidden + static_cast<double>(work.epsilon));
  for (uint32_t i = 0; i < work.hidden; ++i) {
    const double weight = ToDouble(one.gamma, type, i) + static_cast<double>(work.weight_bias);
    const double expected = ToDouble(one.prenorm, type, row + i) * scale * weight;
    const uint32_t found = Bits(one.output, type, row + i);
    ASSERT_EQ(found, Bits(tensors[1].output, type, row + i));
    if (std::isnan(expected) && IsNan(type, found)) continue;
    const double value = ToDouble(one.output, type, row + i);
    const auto rounded = [&](double number) {
      Memory element(16);
      SetBits(&element, type, 0, NearestBits(type, number));
      return ToDouble(element, type, 0);
    };
    const double low = rounded(expected * (1 - kNormSlack));
    const double high = rounded(expected * (1 + kNormSlack));
    ASSERT_TRUE(std::min(low, high) <= value && value <= std::max(low, high))
        << "element " << i << " is " << value << ", not " << expected;
  }
}

void Patterns::CheckAllPatterns(DataType type) {
  const Work work = Rows(GetParam(), type, kPatterns, 512);
  const auto group = GroupFor(work);
  // Packet p has another pattern in each lane, and each lane sees all of them.
  const auto of = [](uint32_t packet, uint32_t lane) { return (packet + lane * 4099) % kPatterns; };
  // Lines take fibers long: one of the two for each kernel and type.
  const bool lines = GetParam().protocol == Protocol::kEpoch;
  const bool both_send = (GetParam().kernel == Kernel::kOneShot) == (type == DataType::kBf16);
  for (uint32_t sender = 0; sender < 2; ++sender) {
    if (lines && (both_send || sender == 0)) continue;
    SCOPED_TRACE("from rank " + std::to_string(sender));
    Check(*group, work, [&](uint32_t rank, uint32_t packet, uint32_t lane) {
      return rank == sender ? of(packet, lane) : 0u;
    });
  }
  if (lines && !both_send) return;
  SCOPED_TRACE("from both");
  Check(*group, work, [&](uint32_t rank, uint32_t packet, uint32_t lane) {
    return rank == 0 ? of(packet, lane) : of(packet, lane) * 40503 % kPatterns;
  });
}

TEST_P(Patterns, PassEveryBf16InEveryLane) { CheckAllPatterns(DataType::kBf16); }
TEST_P(Patterns, PassEveryFp16InEveryLane) { CheckAllPatterns(DataType::kFp16); }

// Every pair of `words`, one from rank 0 and one from rank 1, in every word of a packet. With
// more ranks fewer of them, and the others take turns.
void Patterns::CheckPairs(DataType type, uint32_t world, const std::vector<uint32_t>& words) {
  const auto count = static_cast<uint32_t>(words.size());
  const uint32_t in_word = 4 / BytesOf(type);
  const Work work = Rows(GetParam(), type, world == 2 ? count * count : 4 * count, 98);
  const auto group = GroupFor(work, world);
  Check(*group, work, [&](uint32_t rank, uint32_t packet, uint32_t lane) {
    const uint32_t pair = packet + lane / in_word * 5;
    const uint32_t which = rank == 0 ? pair : rank == 1 ? pair / count : pair / count + rank * pair;
    const uint32_t word = words[which % count];
    return in_word == 1 ? word : word >> (lane % 2 * 16) & 0xffffu;
  });
}

// Signs, subnormals at both ends, infinities, NaNs of each sort, the sentinel and its neighbours,
// words whose halves are −0 or negative subnormals of 16-bit types.
const std::vector<uint32_t>& SpecialWords() {
  static const std::vector<uint32_t> words = {
      0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x00000002, 0x80000002, 0x007fffff,
      0x807fffff, 0x00800000, 0x80800000, 0x00800001, 0x80800001, 0x7fffffff, 0xffffffff,
      0x7f800000, 0xff800000, 0x7f800001, 0xff800001, 0x7fc00000, 0xffc00000, 0x7fbfffff,
      0xffbfffff, 0x7f7fffff, 0xff7fffff, 0x3f800000, 0xbf800000, 0x80008000, 0x00008000,
      0x80018000, 0x80008001, 0x80018001, 0x80023ed2, 0x807f8000, 0x8000807f, 0x807f807f,
      0x7f807f80, 0xff80ff80, 0x7f7f7f7f, 0xff7fff7f, 0x7bff7bff, 0xfbfffbff, 0x7c007c00,
      0xfc00fc00, 0x7e00fe00, 0x00010001, 0x83ff83ff, 0x3f803f80, 0xbf80bf80, 0x40490fdb};
  return words;
}

TEST_P(Patterns, PassSpecialFp32) { CheckPairs(DataType::kFp32, 2, SpecialWords()); }
TEST_P(Patterns, PassSpecialWordsOfBf16) { CheckPairs(DataType::kBf16, 2, SpecialWords()); }
TEST_P(Patterns, PassSpecialWordsOfFp16) { CheckPairs(DataType::kFp16, 2, SpecialWords()); }

TEST_P(Patterns, PassSpecialWordsFromFourAndEightRanks) {
  for (const DataType type : {DataType::kBf16, DataType::kFp16, DataType::kFp32}) {
    CheckPairs(type, 4, SpecialWords());
    CheckPairs(type, 8, SpecialWords());
  }
}

// Sums whose exact value is zero by cancellation, or −0 in every addend, are +0; sums beyond the
// largest number are infinite, and not before.
TEST_P(Patterns, RoundSumsAtZeroAndOverflow) {
  struct Case {
    DataType type;
    uint32_t first, second, sum;
  };
  constexpr Case kCases[] = {
      {DataType::kBf16, 0x8000, 0x8000, 0x0000},
      {DataType::kBf16, 0x3f80, 0xbf80, 0x0000},
      {DataType::kBf16, 0x8001, 0x0001, 0x0000},
      {DataType::kBf16, 0x8001, 0x8000, 0x8001},
      {DataType::kBf16, 0x7f7f, 0x7f7f, 0x7f80},
      {DataType::kBf16, 0xff7f, 0xff7f, 0xff80},
      {DataType::kBf16, 0x7f7f, 0x7b00, 0x7f80},
      {DataType::kBf16, 0x7f7f, 0x7a80, 0x7f7f},
      {DataType::kBf16, 0x7f7f, 0x7aff, 0x7f7f},
      {DataType::kFp16, 0x8000, 0x8000, 0x0000},
      {DataType::kFp16, 0x8001, 0x0001, 0x0000},
      {DataType::kFp16, 0x7bff, 0x7bff, 0x7c00},
      {DataType::kFp16, 0x7bff, 0x4c00, 0x7c00},
      {DataType::kFp16, 0x7bff, 0x4bff, 0x7bff},
      {DataType::kFp16, 0xfbff, 0xcc00, 0xfc00},
      {DataType::kFp32, 0x80000000, 0x80000000, 0x00000000},
      {DataType::kFp32, 0x80000001, 0x00000001, 0x00000000},
      {DataType::kFp32, 0x7f7fffff, 0x7f7fffff, 0x7f800000},
      {DataType::kFp32, 0x7f7fffff, 0x73000000, 0x7f800000},
      {DataType::kFp32, 0x7f7fffff, 0x72ffffff, 0x7f7fffff},
  };
  for (const Case& one : kCases) {
    const Work work = Rows(GetParam(), one.type, 4, 4);
    std::vector<Tensors> tensors(2, Tensors(work));
    for (uint64_t i = 0; i < work.elements(); ++i) {
      SetBits(&tensors[0].input, one.type, i, one.first);
      SetBits(&tensors[1].input, one.type, i, one.second);
    }
    GroupFor(work)->DoAll(work, tensors);
    for (uint64_t i = 0; i < work.elements(); ++i) {
      ASSERT_EQ(Bits(tensors[i % 2].output, one.type, i), one.sum)
          << std::hex << one.first << " + " << one.second;
    }
  }
}

// Every bf16 in rows of one exponent each, so that a row's norm is of the order of 1 wherever its
// squares fit fp32: from its largest numbers on they are infinite, and what is scaled by that is 0.
// The weights are such that they may not be multiplied by anything else before: a row of zeros is
// scaled by 1000.
TEST_P(Patterns, NormEveryBf16) {
  constexpr DataType kType = DataType::kBf16;
  const Work work{.kernel = GetParam().kernel, .tokens = 256, .hidden = 256, .epsilon = 1e-6f};
  const auto pattern = [](uint32_t token, uint32_t i) {
    return token << 7 | i % 128 | i / 128 << 15;
  };
  std::vector<Tensors> tensors(2, Tensors(work));
  SetGamma(&tensors, work, 1e36);
  for (uint32_t token = 0; token < work.tokens; ++token) {
    for (uint32_t i = 0; i < work.hidden; ++i) {
      SetBits(&tensors[1].input, kType, uint64_t{token} * work.hidden + i, pattern(token, i));
    }
  }
  GroupFor(work)->DoAll(work, tensors);
  ExpectExact(tensors, work);
  for (uint32_t token = 0; token < work.tokens; ++token) {
    SCOPED_TRACE("exponent " + std::to_string(token));
    ExpectNormed(tensors, work, token);
    if (HasFatalFailure()) return;
  }
}

TEST_P(Patterns, NormByWeightsThatTheBiasAlmostTakesAway) {
  const Work work{.kernel = GetParam().kernel,
                  .data_type = DataType::kFp32,
                  .tokens = 2,
                  .hidden = 64,
                  .weight_bias = 7.7f};
  std::vector<Tensors> tensors = RandomTensors(2, work, 1);
  SetGamma(&tensors, work, -7.6999993);
  GroupFor(work)->DoAll(work, tensors);
  for (uint32_t token = 0; token < work.tokens; ++token) ExpectNormed(tensors, work, token);
}

INSTANTIATE_TEST_SUITE_P(Routes, Patterns, testing::ValuesIn(kRoutes),
                         [](const auto& param) { return NameOf(param.param); });

}  // namespace
}  // namespace lamplight::kernels
