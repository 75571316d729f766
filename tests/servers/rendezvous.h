// Shared memory in which the ranks of one server meet: barrier, buffer handles, progress, results.
//
// Created by the parent as an unnamed file that the rank processes inherit, or used by the threads
// of one process. All members may be called from any rank at any time.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "options.h"

namespace piecewise {

struct RankResult {
  uint64_t checksum = 0;
  uint64_t replays = 0;
  uint64_t eager = 0;
  uint64_t wrong = 0;  // outputs outside the tolerance, with --verify
};

// One per rank in shared memory.
struct RankSeat {
  std::atomic<uint64_t> steps;  // set-up steps and finished requests
  std::atomic<uint32_t> done;
  RankResult result;
  uint8_t handle[64];  // cudaIpcMemHandle_t of the buffer
  void* pointer;       // the same between threads
};

struct MeetingPlace {
  std::atomic<uint32_t> waiting;
  std::atomic<uint32_t> round;
  RankSeat seat[kMaxWorld];
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

class Rendezvous {
 public:
  // The parent creates, rank processes attach to the inherited descriptor.
  explicit Rendezvous(int world);
  Rendezvous(int world, int fd);
  ~Rendezvous();
  Rendezvous(const Rendezvous&) = delete;
  Rendezvous& operator=(const Rendezvous&) = delete;

  int fd() const { return fd_; }
  RankSeat& seat(int rank) { return place_->seat[rank]; }
  void Step(int rank) { seat(rank).steps.fetch_add(1, std::memory_order_relaxed); }
  uint64_t TotalSteps() const;
  int RanksDone() const;
  // Returns when all ranks have called it. A rank that dies is the supervisor's business.
  void Barrier();

 private:
  void Map();

  int world_;
  int fd_;
  MeetingPlace* place_ = nullptr;
};

}  // namespace piecewise
