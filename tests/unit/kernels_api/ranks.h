// Ranks for tests: an all-gather between threads, and workspaces on them.
//
// A Meeting is thread-safe; a Ranks object belongs to one test.
#pragma once

#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lamplight/collective.h"

namespace lamplight::kernels::test {

// An all-gather over threads. `rank` is passed as context's.
class Meeting {
 public:
  explicit Meeting(uint32_t world) : world_(world) {}

  struct Seat {
    Meeting* meeting;
    uint32_t rank;
  };
  // As lamplight_all_gather; context is a Seat.
  static int AllGather(void* context, const void* send, size_t bytes, void* receive) {
    const Seat& seat = *static_cast<Seat*>(context);
    return seat.meeting->Gather(seat.rank, send, bytes, receive);
  }

 private:
  int Gather(uint32_t rank, const void* send, size_t bytes, void* receive) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return leaving_ == 0; });
    board_.resize(world_ * bytes);
    std::memcpy(board_.data() + rank * bytes, send, bytes);
    if (++arrived_ == world_) {
      leaving_ = world_;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return leaving_ > 0; });
    std::memcpy(receive, board_.data(), world_ * bytes);
    if (--leaving_ == 0) {
      arrived_ = 0;
      changed_.notify_all();
    }
    return 0;
  }

  const uint32_t world_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<unsigned char> board_;
  uint32_t arrived_ = 0;
  uint32_t leaving_ = 0;
};

inline std::string LastError() {
  char text[1024] = "";
  lamplight_last_error(text, sizeof text);
  return text;
}

struct Created {
  lamplight_status status = LAMPLIGHT_ERROR_INTERNAL;
  std::string error;
  lamplight_workspace* workspace = nullptr;
};

inline lamplight_workspace_options SmallOptions(uint32_t world, uint32_t rank) {
  lamplight_workspace_options options = LAMPLIGHT_WORKSPACE_OPTIONS_INIT;
  options.world = world;
  options.rank = rank;
  options.max_tokens = 16;
  options.max_hidden = 4096;
  options.dtype = LAMPLIGHT_FP32;
  return options;
}

// All ranks of a group, each created on a thread of its own.
class Ranks {
 public:
  using Change = std::function<void(lamplight_workspace_options*)>;

  explicit Ranks(
      uint32_t world, const Change& change = [](auto*) {})
      : meeting_(world), created_(world) {
    std::vector<Meeting::Seat> seats;
    for (uint32_t rank = 0; rank < world; ++rank) seats.push_back({&meeting_, rank});
    std::vector<std::thread> threads;
    for (uint32_t rank = 0; rank < world; ++rank) {
      threads.emplace_back([&, rank] {
        lamplight_workspace_options options = SmallOptions(world, rank);
        options.all_gather = Meeting::AllGather;
        options.all_gather_context = &seats[rank];
        change(&options);
        Created& mine = created_[rank];
        mine.status = lamplight_workspace_create(&options, &mine.workspace);
        if (mine.status != LAMPLIGHT_OK) mine.error = LastError();
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  ~Ranks() {
    for (Created& created : created_) lamplight_workspace_destroy(created.workspace);
  }
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  size_t size() const { return created_.size(); }
  const Created& operator[](size_t rank) const { return created_[rank]; }
  lamplight_workspace* workspace(size_t rank) const { return created_[rank].workspace; }
  void Destroy(size_t rank) {
    lamplight_workspace_destroy(created_[rank].workspace);
    created_[rank].workspace = nullptr;
  }

 private:
  Meeting meeting_;
  std::vector<Created> created_;
};

}  // namespace lamplight::kernels::test
