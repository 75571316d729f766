// The ranks of one group as threads of this process: rank r on device r mod the number of devices,
// with a workspace, a stream and memory for tensors.
//
// Everything is allocated at construction and freed at destruction: neither may happen while a
// kernel of the group polls. One thread uses a group; Together gives each rank a thread.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <memory>
#include <vector>

#include "tests/gpu/kernels/meet.h"
#include "tests/gpu/kernels/pace.h"
#include "tests/gpu/kernels/watchdog.h"
#include "tests/unit/kernels/rank_group.h"
#include "tests/unit/kernels_api/ranks.h"

namespace lamplight::kernels::gpu {

struct GroupOptions {
  uint32_t world = 2;
  Protocol protocol = Protocol::kEpoch;
  uint64_t generation_bytes = 0;
  uint64_t memory_bytes = 0;  // for tensors, of each rank
  uint32_t timeout_ms = LAMPLIGHT_DEFAULT_TIMEOUT;
  uint32_t in_flight = 4;  // steps of each rank: see Pace
};

class Group {
 public:
  Group(const GroupOptions& options, Watchdog* watchdog);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  uint32_t world() const { return static_cast<uint32_t>(ranks_.size()); }
  uint64_t memory_bytes() const { return options_.memory_bytes; }
  Watchdog& watchdog() const { return *watchdog_; }
  lamplight_workspace* workspace(uint32_t rank) const { return ranks_.workspace(rank); }
  char* memory(uint32_t rank) const { return memory_[rank]; }
  cudaStream_t stream(uint32_t rank) const {
    return (*streams_[rank % streams_.size()])[static_cast<uint32_t>(rank / streams_.size())];
  }
  // Streams that were made anew, since kernels on them did not run beside each other.
  uint32_t refused_streams() const;
  // Of the rank's stream; for the rank's thread.
  Pace& pace(uint32_t rank) const { return *paces_[rank]; }

  // Makes the rank's device current.
  void Enter(uint32_t rank) const;
  // `body(rank)` on one thread for each rank, its device current; rethrows the first exception.
  void Together(const std::function<void(uint32_t)>& body);
  // The most tokens of a row of so many bytes with which all ranks' blocks are resident at once
  // where ranks share a device, and that the workspace holds.
  uint32_t MaxTokens(const Work& work) const;
  // Sentences of the ranks that have reported trouble; "" where none has.
  std::string Troubles() const;

 private:
  void MakeStreams();

  const GroupOptions options_;
  Watchdog* const watchdog_;
  const uint32_t devices_;
  test::Ranks ranks_;
  std::vector<char*> memory_;
  std::vector<std::unique_ptr<MeetingStreams>> streams_;  // by device
  std::vector<std::unique_ptr<Pace>> paces_;
  uint32_t blocks_ = 0;  // that a rank may have in flight
};

uint32_t CountDevices();
// The largest number of ranks that the library knows and there are devices for; 2 on one device.
uint32_t RanksFor(uint32_t devices);

}  // namespace lamplight::kernels::gpu
