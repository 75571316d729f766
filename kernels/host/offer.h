// What a rank tells the others of the workspace that it was asked for and of its buffer, and
// whether all of them fit together. Pure; thread-safe.
#pragma once

#include <vector>

#include "kernels/host/buffer.h"
#include "kernels/host/exchange.h"
#include "kernels/host/process.h"

namespace lamplight::kernels {

struct Offer {
  RecordHead head;
  uint32_t tuning;  // kTuningVersion
  uint32_t world;
  uint32_t protocol;
  uint32_t memory;
  uint32_t multicast;
  int32_t device;
  uint64_t generation_bytes;
  uint64_t token;  // of the buffer within its process; also what the probe stores
  ProcessIdentity process;
  BufferHandle buffer;
  BufferHandle multicast_object;  // rank 0's
};
static_assert(sizeof(Offer) == 480);

// The same verdict on all ranks.
Status CheckAgreement(const std::vector<Offer>& offers);

}  // namespace lamplight::kernels
