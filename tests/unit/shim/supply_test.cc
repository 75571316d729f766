// Numbers that one holds at a time.
#include "shim/supply.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

namespace lamplight::shim {
namespace {

TEST(Supply, GivesEachNumberOnce) {
  constexpr uint32_t kEnd = 4000;
  Supply supply(kEnd, "things");
  std::vector<std::vector<uint32_t>> taken(4);
  std::vector<std::thread> threads;
  for (std::vector<uint32_t>& own : taken) {
    threads.emplace_back([&] {
      while (const uint32_t number = supply.Take()) own.push_back(number);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<uint32_t> all;
  for (const std::vector<uint32_t>& own : taken) all.insert(own.begin(), own.end());
  size_t count = 0;
  for (const std::vector<uint32_t>& own : taken) count += own.size();
  EXPECT_EQ(count, kEnd - 1);
  EXPECT_EQ(all.size(), kEnd - 1);
  EXPECT_EQ(*all.begin(), 1u);
  EXPECT_EQ(*all.rbegin(), kEnd - 1);
}

TEST(Supply, WhatIsGivenBackComesAgainLast) {
  Supply supply(5, "things");
  for (uint32_t number = 1; number <= 3; ++number) EXPECT_EQ(supply.Take(), number);
  supply.GiveBack({2, 1});
  EXPECT_EQ(supply.Take(), 4u);
  EXPECT_EQ(supply.Take(), 2u);
  EXPECT_EQ(supply.Take(), 1u);
  testing::internal::CaptureStderr();
  EXPECT_EQ(supply.Take(), 0u);
  supply.GiveBack({3});
  EXPECT_EQ(supply.Take(), 3u);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("used up"), std::string::npos);
}

TEST(Supply, SaysOnceThatNothingIsLeft) {
  Supply supply(3, "things");
  testing::internal::CaptureStderr();
  EXPECT_EQ(supply.Take(), 1u);
  EXPECT_EQ(supply.Take(), 2u);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(supply.Take(), 0u);
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("all 2 things of a device are used up"), std::string::npos) << said;
  EXPECT_EQ(said.find("used up"), said.rfind("used up")) << said;
}

}  // namespace
}  // namespace lamplight::shim
