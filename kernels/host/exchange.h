// Rounds in which every rank tells every other one thing, by the caller's all-gather.
//
// A rank that has failed takes part all the same and says so: every round succeeds on all ranks or
// on none, and each rank knows the reason. One thread uses one object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/host/settings.h"

namespace lamplight::kernels {

// The first bytes of every record. Compared between builds: changes need another kExchangeVersion.
struct RecordHead {
  uint64_t magic;
  uint32_t version;
  uint32_t round;
  uint32_t rank;
  uint32_t status;  // lamplight_status
  char text[232];   // of the status
};
static_assert(sizeof(RecordHead) == 256);

inline constexpr uint64_t kExchangeMagic = 0x31474843584d414cu;
inline constexpr uint32_t kExchangeVersion = 1;

class RankExchange {
 public:
  RankExchange(const AllGather& all_gather, uint32_t world, uint32_t rank)
      : all_gather_(all_gather), world_(world), rank_(rank) {}

  // `mine` says how this rank fares; `record` begins with a RecordHead, which this fills. Good
  // where all ranks fare well; then `all` has every rank's record.
  template <class Record>
  Status Gather(const Status& mine, Record record, std::vector<Record>* all) {
    static_assert(std::is_trivially_copyable_v<Record> && offsetof(Record, head) == 0);
    record.head = HeadOf(mine);
    std::vector<unsigned char> received;
    LAMPLIGHT_TRY(Call(&record, sizeof record, &received));
    all->resize(world_);
    std::memcpy(all->data(), received.data(), world_ * sizeof record);
    std::vector<RecordHead> heads(world_);
    for (uint32_t rank = 0; rank < world_; ++rank) heads[rank] = (*all)[rank].head;
    LAMPLIGHT_TRY(CheckHeads(heads));
    return Judge(mine, heads);
  }

  // A round that only tells how the ranks fare: a barrier.
  Status Agree(const Status& mine);

  // True once a round has failed in a way that may differ between the ranks.
  bool broken() const { return broken_; }

 private:
  RecordHead HeadOf(const Status& mine);
  Status Call(const void* send, size_t bytes, std::vector<unsigned char>* received);
  Status CheckHeads(const std::vector<RecordHead>& heads);
  Status Judge(const Status& mine, const std::vector<RecordHead>& heads) const;

  AllGather all_gather_;
  uint32_t world_;
  uint32_t rank_;
  uint32_t round_ = 0;
  bool broken_ = false;
};

}  // namespace lamplight::kernels
