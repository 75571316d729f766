// Jobs side by side in the memory of a group: inputs go there when a job is added, outputs come
// back when all are judged. One thread, but Launch, which each rank's thread may call.
#pragma once

#include <stdexcept>
#include <utility>
#include <vector>

#include "tests/gpu/kernels/group.h"
#include "tests/gpu/kernels/job.h"
#include "tests/gpu/kernels/tally.h"

namespace lamplight::kernels::gpu {

class Batch {
 public:
  explicit Batch(Group* group) : group_(group) {}

  size_t size() const { return entries_.size(); }
  uint64_t end() const { return end_; }
  const Job& job(size_t index) const { return entries_[index].job; }
  const Placement& placement(size_t index) const { return entries_[index].at; }

  // False, and nothing is added, where the group's memory is full. `tensors`: one for each rank.
  bool Add(const Job& job, std::vector<Tensors> tensors);
  // The same, but where it is full, `flush` runs what is there and clears it first. Throws where
  // the job has no room by itself.
  template <class Flush>
  void AddOrFlush(const Job& job, std::vector<Tensors> tensors, Flush flush) {
    if (Add(job, tensors)) return;
    flush();
    if (!Add(job, std::move(tensors))) throw std::runtime_error("too large: " + Describe(job));
  }
  // On the rank's stream: eager, or into its capture. What the call overwrites is made anew first.
  void Launch(uint32_t rank, size_t index) const;
  // All ranks launch all jobs, in order, and wait.
  void LaunchAll();
  // Fetches what the calls left, compares, counts a byte outside of the outputs as wrong, too.
  void Judge(Tally* tally);
  void Clear();

 private:
  struct Entry {
    Job job;
    Placement at;
    std::vector<Tensors> tensors;
  };
  void Upload(const Entry& entry, uint32_t rank) const;
  void Download(Entry* entry, uint32_t rank, Tally* tally) const;

  Group* const group_;
  std::vector<Entry> entries_;
  uint64_t end_ = 0;
};

// What memory is filled with that nobody has written.
inline constexpr unsigned char kUntouched = 0xa5;

}  // namespace lamplight::kernels::gpu
