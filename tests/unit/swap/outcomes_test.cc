// Each outcome is new once, in whatever order they come.
#include "shim/swap/outcomes.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace lamplight::shim {
namespace {

TEST(Outcomes, AreNewOnceWhenTheyAlternate) {
  Outcomes outcomes;
  const int plain = 0, streamed = 0, refused = 0;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(outcomes.IsNew(&plain), i == 0);
    EXPECT_EQ(outcomes.IsNew(&streamed), i == 0);
    EXPECT_EQ(outcomes.IsNew(&refused), i == 0);
  }
}

TEST(Outcomes, AreBounded) {
  Outcomes outcomes;
  const int many[2 * Outcomes::kMost] = {};
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < std::size(many); ++i) {
      EXPECT_EQ(outcomes.IsNew(&many[i]), round == 0 && i < Outcomes::kMost);
    }
  }
}

TEST(Outcomes, AreToldToOneThread) {
  constexpr int kThreads = 4;
  const int what[Outcomes::kMost] = {};
  Outcomes outcomes;
  std::atomic<int> told = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      for (const int& one : what) told += outcomes.IsNew(&one);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(told, static_cast<int>(Outcomes::kMost));
}

}  // namespace
}  // namespace lamplight::shim
