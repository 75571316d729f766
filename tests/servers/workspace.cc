// Allocation, first values and exchange of the buffers.
#include "workspace.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace piecewise {
namespace {

// An IPC handle names a whole block of the allocator: a buffer of this size has one of its own, so
// that the mapping begins at the buffer.
constexpr size_t kIpcBlock = 2u << 20;
constexpr uint32_t kStageAlignment = 32;
constexpr uint32_t kLostUpdatePeriod = 7;

size_t BufferWords(uint32_t generation_bytes) {
  const size_t bytes = size_t{kGenerations} * generation_bytes;
  return (bytes + kIpcBlock - 1) / kIpcBlock * kIpcBlock / sizeof(uint32_t);
}

}  // namespace

uint32_t Workspace::BytesPerGeneration(const Options& options) {
  const uint64_t row = static_cast<uint64_t>(options.dim) * 2;
  const auto tokens = static_cast<uint64_t>(options.max_tokens());
  const auto world = static_cast<uint64_t>(options.world);
  const uint64_t one_shot = tokens * world * row;
  const uint64_t two_shot = 2 * ((tokens + world - 1) / world * world) * row;
  const uint64_t bytes = std::max(one_shot, two_shot);
  const uint64_t rounded = (bytes + kStageAlignment - 1) / kStageAlignment * kStageAlignment;
  if (rounded > 1u << 30) {
    throw UsageError("--buckets, --dim and --world need " + std::to_string(rounded) +
                     " bytes per generation; the limit is 1 GiB");
  }
  return static_cast<uint32_t>(rounded);
}

Workspace::Workspace(const Options& options, int rank, Rendezvous& rendezvous)
    : rank_(rank),
      world_(options.world),
      generation_bytes_(BytesPerGeneration(options)),
      buffer_(BufferWords(generation_bytes_)),
      flags_(kFlagWords),
      peers_(static_cast<size_t>(options.world)) {
  Initialise(options);
  RankSeat& mine = rendezvous.seat(rank);
  mine.pointer = buffer_.get();
  if (!options.threads) {
    cudaIpcMemHandle_t handle;
    PIECEWISE_CHECK(cudaIpcGetMemHandle(&handle, buffer_.get()));
    static_assert(sizeof(handle) == sizeof(mine.handle));
    std::memcpy(mine.handle, &handle, sizeof(handle));
  }
  rendezvous.Barrier();
  std::vector<void*> peers;
  for (int peer = 0; peer < world_; ++peer) {
    RankSeat& seat = rendezvous.seat(peer);
    peers.push_back(peer == rank || options.threads ? seat.pointer : OpenPeer(seat));
  }
  peers_.CopyFrom(peers);
}

void Workspace::Initialise(const Options& options) const {
  const std::vector<uint32_t> empty(size_t{kGenerations} * generation_bytes_ / sizeof(uint32_t),
                                    kSentinel);
  buffer_.CopyFrom(empty);
  std::array<uint32_t, kFlagWords> flags = {};
  flags[kDirty] = 2;
  flags[kBytesPerBuffer] = generation_bytes_;
  if (options.kernel == Kernel::kLostUpdate) flags[kLosePeriod] = kLostUpdatePeriod;
  flags_.CopyFrom(flags);
  PIECEWISE_CHECK(cudaDeviceSynchronize());
}

void* Workspace::OpenPeer(RankSeat& seat) {
  cudaIpcMemHandle_t handle;
  std::memcpy(&handle, seat.handle, sizeof(handle));
  void* pointer = nullptr;
  PIECEWISE_CHECK(cudaIpcOpenMemHandle(&pointer, handle, cudaIpcMemLazyEnablePeerAccess));
  mappings_.emplace_back(pointer);
  return pointer;
}

Endpoint Workspace::endpoint() const {
  Endpoint end = {};
  end.peers = peers_.get();
  end.local = buffer_.get();
  end.flags = flags_.get();
  end.world = world_;
  end.rank = rank_;
  return end;
}

}  // namespace piecewise
