// The lock-free handle map: identity, reuse, growth, concurrent readers.
#include "shim/handle_map.h"

#include <gtest/gtest.h>

#include <thread>

namespace lamplight::shim {
namespace {

const void* Handle(uintptr_t value) { return reinterpret_cast<const void*>(value); }

TEST(HandleMap, FindsNothingAtFirst) {
  HandleMap<int> map;
  EXPECT_EQ(map.Find(Handle(16)), nullptr);
  EXPECT_EQ(map.Erase(Handle(16)), nullptr);
}

TEST(HandleMap, TakesNullForAHandle) {
  HandleMap<int> map;
  int value = 0;
  map.Insert(nullptr, &value);
  EXPECT_EQ(map.Find(nullptr), &value);
}

TEST(HandleMap, ReusedHandleGetsItsNewValue) {
  HandleMap<int> map;
  int first = 0, second = 0;
  EXPECT_EQ(map.Insert(Handle(64), &first), nullptr);
  EXPECT_EQ(map.Erase(Handle(64)), &first);
  EXPECT_EQ(map.Find(Handle(64)), nullptr);
  EXPECT_EQ(map.Insert(Handle(64), &second), nullptr);
  EXPECT_EQ(map.Find(Handle(64)), &second);
  EXPECT_EQ(map.Insert(Handle(64), &first), &second);
}

TEST(HandleMap, AddKeepsWhatIsThere) {
  HandleMap<int> map;
  int first = 0, second = 0;
  EXPECT_EQ(map.Add(Handle(64), &first), &first);
  EXPECT_EQ(map.Add(Handle(64), &second), &first);
  map.Erase(Handle(64));
  EXPECT_EQ(map.Add(Handle(64), &second), &second);
  EXPECT_EQ(map.Find(Handle(64)), &second);
}

TEST(HandleMap, KeepsEveryValueWhileItGrows) {
  HandleMap<size_t> map;
  std::vector<size_t> values(5000);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = i;
    map.Insert(Handle(i * 16), &values[i]);
  }
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(map.Find(Handle(i * 16)), &values[i]);
  size_t visited = 0;
  map.ForEach([&](size_t&) { ++visited; });
  EXPECT_EQ(visited, values.size());
}

TEST(HandleMap, ClearForgetsAllButStaysUsable) {
  HandleMap<int> map;
  int value = 0;
  map.Insert(Handle(8), &value);
  map.Clear();
  EXPECT_EQ(map.Find(Handle(8)), nullptr);
  map.Insert(Handle(8), &value);
  EXPECT_EQ(map.Find(Handle(8)), &value);
}

TEST(HandleMap, ReadersSeeWholeEntriesWhileAWriterInserts) {
  HandleMap<uintptr_t> map;
  std::vector<uintptr_t> values(20000);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    while (!stop) {
      for (uintptr_t i = 0; i < values.size(); i += 97) {
        const uintptr_t* found = map.Find(Handle(i * 8));
        if (found != nullptr && *found != i) ++wrong;
      }
    }
  });
  for (uintptr_t i = 0; i < values.size(); ++i) {
    values[i] = i;
    map.Insert(Handle(i * 8), &values[i]);
  }
  stop = true;
  reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace lamplight::shim
