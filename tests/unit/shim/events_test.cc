// Events under ids of ours: handles that come again, and threads that meet at a new one.
#include "shim/events.h"

#include <gtest/gtest.h>

#include <barrier>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

namespace lamplight::shim {
namespace {

const void* Handle(uintptr_t value) { return reinterpret_cast<const void*>(value); }

TEST(Events, RecordCallsOfOneEventAreNumbered) {
  Events events;
  const EventCall first = events.Recorded(Handle(16));
  const EventCall second = events.Recorded(Handle(16));
  EXPECT_EQ(first.event_id, second.event_id);
  EXPECT_EQ(first.serial, 1u);
  EXPECT_EQ(second.serial, 2u);
  EXPECT_NE(events.Recorded(Handle(32)).event_id, first.event_id);
}

TEST(Events, TheNewestCallIsWhatAWaitIsFor) {
  Events events;
  EXPECT_FALSE(events.Newest(Handle(16)));
  events.Recorded(Handle(16));
  const EventCall second = events.Recorded(Handle(16));
  ASSERT_TRUE(events.Newest(Handle(16)));
  EXPECT_EQ(events.Newest(Handle(16))->event_id, second.event_id);
  EXPECT_EQ(events.Newest(Handle(16))->serial, 2u);
}

TEST(Events, AHandleThatComesAgainIsAnotherEvent) {
  Events events;
  const EventCall before = events.Recorded(Handle(16));
  events.Destroyed(Handle(16));
  // Nothing was recorded into the new one yet: a wait for it waits for nothing.
  EXPECT_FALSE(events.Newest(Handle(16)));
  const EventCall after = events.Recorded(Handle(16));
  EXPECT_NE(after.event_id, before.event_id);
  EXPECT_EQ(after.serial, 1u);
}

TEST(Events, DestructionOfAnUnknownEventIsNothing) {
  Events events;
  events.Destroyed(Handle(16));
  EXPECT_FALSE(events.Newest(Handle(16)));
}

// Two ids for one event would hide from a wait what it waits for.
TEST(Events, ThreadsThatMeetAtANewEventGetOneId) {
  constexpr int kThreads = 4;
  constexpr uintptr_t kEvents = 400;
  Events events;
  std::vector<std::vector<EventCall>> calls(kThreads);
  std::barrier together(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (uintptr_t event = 1; event <= kEvents; ++event) {
        together.arrive_and_wait();
        calls[i].push_back(events.Recorded(Handle(event * 16)));
        together.arrive_and_wait();
        if (i == 0 && event % 2 == 0) events.Destroyed(Handle(event * 16));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (uintptr_t event = 0; event < kEvents; ++event) {
    std::set<uint32_t> ids;
    std::set<uint64_t> serials;
    for (const auto& own : calls) {
      ids.insert(own[event].event_id);
      serials.insert(own[event].serial);
    }
    ASSERT_EQ(ids.size(), 1u) << event;
    ASSERT_EQ(serials, (std::set<uint64_t>{1, 2, 3, 4})) << event;
  }
}

}  // namespace
}  // namespace lamplight::shim
