// The host side of the server: requests, payloads, reference, options, rendezvous.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>
#include <thread>
#include <vector>

#include "../options.h"
#include "../payload.h"
#include "../reference.h"
#include "../rendezvous.h"

namespace piecewise {
namespace {

Options Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "piecewise_server");
  return ParseOptions(static_cast<int>(arguments.size()), const_cast<char**>(arguments.data()))
      .options;
}

std::string Refusal(const std::vector<const char*>& arguments) {
  try {
    Parse(arguments);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Options, RefusalNamesOptionAndValue) {
  EXPECT_EQ(Refusal({"--kernel", "fast"}),
            "--kernel: 'fast' is not one of good|legacy|baked-index|lost-update");
  EXPECT_EQ(Refusal({"--dim", "12"}), "--dim: 12 is not a multiple of 8");
  EXPECT_NE(Refusal({"--world", "3"}).find("--world"), std::string::npos);
  EXPECT_NE(Refusal({"--requests", "5", "--poison-request", "5"}).find("0..4"), std::string::npos);
  EXPECT_NE(Refusal({"--buckets", "0,4"}), "");
  EXPECT_NE(Refusal({"--kernel", "baked-index", "--algorithm", "twoshot"}), "");
  EXPECT_NE(Refusal({"--fault", "diverge", "--buckets", "8"}), "");
  EXPECT_NE(Refusal({"--rank", "0"}), "");
  EXPECT_NE(Refusal({"--bogus"}), "");
}

TEST(Options, BucketsAreSortedAndUnique) {
  EXPECT_EQ(Parse({"--buckets", "8,1,8"}).buckets, (std::vector<int>{1, 8}));
}

TEST(Options, StaleIndexRunsInLockstep) {
  EXPECT_TRUE(Parse({"--kernel", "baked-index"}).lockstep);
  EXPECT_TRUE(Parse({"--kernel", "lost-update"}).lockstep);
  EXPECT_FALSE(Parse({"--kernel", "good"}).lockstep);
}

TEST(Options, AutoTakesTwoShotForLargeRequests) {
  const Options o = Parse({"--algorithm", "auto"});
  EXPECT_FALSE(o.TwoShotFor(1));
  EXPECT_TRUE(o.TwoShotFor(64));
}

TEST(Payload, RequestsFitTheBuckets) {
  const Options o = Parse({});
  std::set<int> tokens;
  for (int number = 0; number < 1000; ++number) {
    const Request request = MakeRequest(o, number);
    ASSERT_GE(request.tokens, 1);
    ASSERT_LE(request.tokens, 64);
    ASSERT_GE(o.buckets[BucketFor(o, request.tokens)], request.tokens);
    tokens.insert(request.tokens);
  }
  EXPECT_EQ(tokens.size(), 64u);
}

TEST(Payload, StagedRequestsHaveTheirForm) {
  Options o = Parse({"--eager-percent", "100", "--payload", "subnormal"});
  EXPECT_FALSE(MakeRequest(o, o.poison_request).eager);
  o = Parse({"--eager-percent", "0", "--fault", "skip"});
  EXPECT_TRUE(MakeRequest(o, o.fault_request).eager);
  o = Parse({"--eager-percent", "100", "--fault", "overlap"});
  EXPECT_FALSE(MakeRequest(o, o.fault_request).eager);
}

TEST(Payload, PoisonIsNegativeSubnormalsInOddElementsOfEveryToken) {
  const Options o = Parse({"--payload", "subnormal"});
  const Poison poison = MakePoison(o, 1, 5);
  int elements = 0;
  std::set<size_t> tokens;
  for (size_t i = 0; i < poison.patch.size(); ++i) {
    if (poison.patch[i] == 0) continue;
    EXPECT_EQ(i % 2, 1u);
    EXPECT_GE(poison.patch[i], 0x8001);
    EXPECT_LE(poison.patch[i], 0x807f);
    if (elements++ == 0) {
      EXPECT_EQ(static_cast<int>(i / 512), poison.first_token);
      EXPECT_EQ(static_cast<int>(i % 512), poison.first_element);
    }
    tokens.insert(i / 512);
  }
  EXPECT_EQ(elements, poison.elements);
  EXPECT_EQ(tokens.size(), 5u);
}

TEST(Payload, PoisonCanBeKeptToOneToken) {
  const Options o = Parse({"--payload", "subnormal", "--poison-token", "4"});
  const Poison poison = MakePoison(o, 1, 3);  // 4 modulo 3 tokens
  EXPECT_EQ(poison.first_token, 1);
  EXPECT_GT(poison.elements, 0);
  const auto row = poison.patch.begin() + 512;
  EXPECT_EQ(poison.elements, 512 - std::count(row, row + 512, 0));
  EXPECT_EQ(std::count(poison.patch.begin(), poison.patch.end(), 0), 3 * 512 - poison.elements);
}

// Ranks' parts of a sum, by element; 0 where nothing is patched.
std::vector<std::vector<uint16_t>> PartsOf(const Options& o, int tokens) {
  std::vector<std::vector<uint16_t>> parts;
  for (int rank = 0; rank < o.world; ++rank) {
    EXPECT_TRUE(SendsPoison(o, rank));
    parts.push_back(MakePoison(o, rank, tokens).patch);
  }
  return parts;
}

TEST(Payload, NegativeZeroSumsAreTinyInTheLastStepOnly) {
  const Options o = Parse({"--payload", "negative-zero-sum", "--world", "4", "--dim", "16"});
  constexpr float kSmallestNormal = 0x1p-126f;
  const auto parts = PartsOf(o, 3);
  std::vector<size_t> at;
  for (size_t i = 1; i < parts[0].size(); i += 2) {
    if (parts[0][i] == 0) continue;
    at.push_back(i / 2);
    float sum = 0;
    for (const auto& part : parts) {
      EXPECT_EQ(part[i - 1], 0x8000) << "the lower half of the word";
      const float value = FromBf16(part[i]);
      EXPECT_TRUE(value == 0 || std::fabs(value) >= kSmallestNormal) << "would be flushed itself";
      sum += value;
      const bool last = &part == &parts.back();
      EXPECT_TRUE(last || sum >= kSmallestNormal) << "would be flushed too early";
    }
    EXPECT_LT(sum, 0);
    EXPECT_GT(sum, -kSmallestNormal);
  }
  EXPECT_EQ(at, (std::vector<size_t>{0, 8 + 4, 16})) << "first words of packets";
  const Poison poison = MakePoison(o, 2, 3);
  EXPECT_EQ(poison.elements, 3);
  EXPECT_EQ(poison.first_token, 0);
  EXPECT_EQ(poison.first_element, 1);
}

TEST(Payload, NegativeZeroSumsCanBeKeptToOneToken) {
  const Options o = Parse({"--payload", "negative-zero-sum", "--dim", "16", "--poison-token", "5"});
  const Poison poison = MakePoison(o, 0, 3);  // 5 modulo 3 tokens
  EXPECT_EQ(poison.elements, 1);
  EXPECT_EQ(poison.first_token, 2);
  EXPECT_EQ(std::count(poison.patch.begin(), poison.patch.end(), 0), 3 * 16 - 2);
}

TEST(Payload, InputsDifferByRankAndRequestOnly) {
  const Options o = Parse({});
  const auto input = [&o](int number, int rank) {
    std::vector<uint16_t> values(64);
    FillInput(o, {number, 1, false}, rank, values);
    return values;
  };
  EXPECT_EQ(input(3, 0), input(3, 0));
  EXPECT_NE(input(3, 0), input(3, 1));
  EXPECT_NE(input(3, 0), input(4, 0));
}

TEST(Reference, SeesOneWrongValue) {
  const Options o = Parse({"--dim", "16"});
  const Request request = {0, 2, false};
  std::vector<uint16_t> output = ReferenceOutput(o, request);
  ASSERT_EQ(output.size(), 32u);
  EXPECT_EQ(CountWrong(o, request, output), 0u);
  output[17] ^= 0x8000;
  EXPECT_EQ(CountWrong(o, request, output), 1u);
}

TEST(Reference, NormGivesUnitMeanSquareTimesTheWeights) {
  const Options o = Parse({"--dim", "64"});
  const std::vector<uint16_t> output = ReferenceOutput(o, {0, 1, false});
  const std::vector<uint16_t> gamma = MakeGamma(64);
  float squares = 0;
  for (size_t i = 0; i < 64; ++i) {
    const float normed = FromBf16(output[i]) / FromBf16(gamma[i]);
    squares += normed * normed;
  }
  EXPECT_NEAR(squares / 64, 1.0f, 0.02f);
}

TEST(Rendezvous, BarrierHoldsUntilTheLast) {
  Rendezvous rendezvous(4);
  std::atomic<int> before = 0;
  std::atomic<int> early = 0;
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 4; ++rank) {
    ranks.emplace_back([&] {
      for (int round = 1; round <= 200; ++round) {
        ++before;
        rendezvous.Barrier();
        if (before.load() < 4 * round) ++early;
        rendezvous.Barrier();
      }
    });
  }
  for (std::thread& thread : ranks) thread.join();
  EXPECT_EQ(early.load(), 0);
}

}  // namespace
}  // namespace piecewise
