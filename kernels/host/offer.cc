// Pure; thread-safe.
#include "kernels/host/offer.h"

namespace lamplight::kernels {
namespace {

Status CheckField(const Offer& offer, const char* name, uint64_t value, uint64_t first) {
  if (value == first) return {};
  return Error(LAMPLIGHT_ERROR_DISAGREEMENT,
               "rank %u has %s %llu, rank 0 has %llu: all ranks must give the same",
               offer.head.rank, name, static_cast<unsigned long long>(value),
               static_cast<unsigned long long>(first));
}

Status CheckOffer(const Offer& offer, const Offer& first) {
  LAMPLIGHT_TRY(CheckField(offer, "world", offer.world, first.world));
  LAMPLIGHT_TRY(CheckField(offer, "protocol", offer.protocol, first.protocol));
  LAMPLIGHT_TRY(CheckField(offer, "memory", offer.memory, first.memory));
  LAMPLIGHT_TRY(CheckField(offer, "multicast", offer.multicast, first.multicast));
  LAMPLIGHT_TRY(CheckField(offer, "generation_bytes (from max_tokens, max_hidden and dtype)",
                           offer.generation_bytes, first.generation_bytes));
  LAMPLIGHT_TRY(CheckField(offer, "tuning version (of the library)", offer.tuning, first.tuning));
  if (offer.memory == LAMPLIGHT_MEMORY_IPC && !offer.process.IsSameHost(first.process)) {
    return Error(LAMPLIGHT_ERROR_UNSUPPORTED,
                 "rank %u runs on another host than rank 0, where CUDA IPC does not reach: use "
                 "LAMPLIGHT_MEMORY_FABRIC",
                 offer.head.rank);
  }
  return {};
}

}  // namespace

Status CheckAgreement(const std::vector<Offer>& offers) {
  for (const Offer& offer : offers) LAMPLIGHT_TRY(CheckOffer(offer, offers.front()));
  return {};
}

}  // namespace lamplight::kernels
