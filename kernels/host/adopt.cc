// Workspaces over memory of the caller: FlashInfer's MNNVL layout. Nothing is exchanged.
#include <algorithm>
#include <cstring>

#include "kernels/host/copies.h"
#include "kernels/host/device_scope.h"
#include "kernels/host/versioned.h"
#include "kernels/host/workspace.h"
#include "kernels/protocol.cuh"

namespace lamplight::kernels {
namespace {

constexpr size_t kTensorAlignment = 16;
constexpr uint64_t kHeaderAlignment = 128;
// Two stages of 16-byte packets.
constexpr uint32_t kGenerationAlignment = 32;

Status CheckNotNull(const void* address, const char* name) {
  if (address != nullptr) return {};
  return Error(LAMPLIGHT_ERROR_NULL, "%s is null", name);
}

Status CheckAddresses(const lamplight_adopt_options& options) {
  LAMPLIGHT_TRY(CheckNotNull(options.flags, "options->flags"));
  LAMPLIGHT_TRY(CheckNotNull(options.local, "options->local"));
  LAMPLIGHT_TRY(CheckAligned(options.flags, kTensorAlignment, "options->flags"));
  LAMPLIGHT_TRY(CheckAligned(options.local, kTensorAlignment, "options->local"));
  LAMPLIGHT_TRY(CheckAligned(options.multicast, kTensorAlignment, "options->multicast"));
  if ((options.peers_device == nullptr) == (options.peers_host == nullptr)) {
    return Error(options.peers_device == nullptr ? LAMPLIGHT_ERROR_NULL : LAMPLIGHT_ERROR_VALUE,
                 "options->peers_device and options->peers_host are %s: give exactly one",
                 options.peers_device == nullptr ? "both null" : "both given");
  }
  return {};
}

Status ReadPeers(const lamplight_adopt_options& options, void** peers) {
  if (options.peers_host != nullptr) {
    std::memcpy(peers, options.peers_host, options.world * sizeof(void*));
  } else {
    Copies copies;
    LAMPLIGHT_TRY(copies.Open());
    LAMPLIGHT_TRY(copies.Copy(peers, options.peers_device, options.world * sizeof(void*)));
  }
  for (uint32_t rank = 0; rank < options.world; ++rank) {
    const std::string name = "the buffer address of rank " + std::to_string(rank);
    LAMPLIGHT_TRY(CheckNotNull(peers[rank], name.c_str()));
    LAMPLIGHT_TRY(CheckAligned(peers[rank], kTensorAlignment, name.c_str()));
    void* const* same = std::find(peers, peers + rank, peers[rank]);
    if (same == peers + rank) continue;
    return Error(LAMPLIGHT_ERROR_VALUE,
                 "the buffer addresses of ranks %td and %u are both %p: each rank has a buffer of "
                 "its own",
                 same - peers, rank, peers[rank]);
  }
  return {};
}

Status BadFlags(const uint32_t* flags, const char* what) {
  return Error(
      LAMPLIGHT_ERROR_STATE,
      "options->flags hold [%u, %u, %u, %u, %u, %u, %u, %u, %u]: %s. They must be those of "
      "FlashInfer 0.6.0 or later, initialised, and no call may be running",
      flags[0], flags[1], flags[2], flags[3], flags[4], flags[5], flags[6], flags[7], flags[8],
      what);
}

Status CheckFlags(const uint32_t* flags) {
  using namespace protocol;  // NOLINT(google-build-using-namespace): names of the words
  if (flags[kCurrentIndex] >= kGenerations || flags[kDirtyIndex] >= kGenerations) {
    return BadFlags(flags, "words 0 and 1 number generations, 0 to 2");
  }
  if (flags[kBytesPerBuffer] == 0 || flags[kBytesPerBuffer] % kGenerationAlignment != 0) {
    return BadFlags(flags, "word 2 is no multiple of 32 bytes");
  }
  if (flags[kDirtyIndex] != NextIndex(NextIndex(flags[kCurrentIndex]))) {
    return BadFlags(flags, "word 1 numbers the generation before that of word 0");
  }
  const uint32_t stages = flags[kDirtyStages];
  if (stages > kMaxStages) return BadFlags(flags, "word 3 counts stages, 0 to 4");
  if (stages > 0 && flags[kBytesPerBuffer] / kTensorAlignment % stages != 0) {
    return BadFlags(flags, "word 2 does not split into as many stages as word 3 counts");
  }
  if (flags[kArrivals] != 0) return BadFlags(flags, "word 8 counts arrivals of a call that runs");
  return {};
}

// The first words of the generation that the next call but one uses: no rank can have sent there
// yet.
Status CheckArmed(const lamplight_adopt_options& options, const uint32_t* flags) {
  const uint32_t next = protocol::NextIndex(flags[protocol::kCurrentIndex]);
  const char* start =
      static_cast<const char*>(options.local) + uint64_t{next} * flags[protocol::kBytesPerBuffer];
  uint32_t words[kGenerationAlignment / sizeof(uint32_t)];
  Copies copies;
  LAMPLIGHT_TRY(copies.Open());
  LAMPLIGHT_TRY(copies.Copy(words, start, sizeof words));
  for (const uint32_t word : words) {
    if (word == protocol::kSentinel) continue;
    const bool by_halves = word == protocol::kHalfSentinels;
    return Error(LAMPLIGHT_ERROR_STATE,
                 "options->local holds %08x in generation %u, which no call has written: %s. Fill "
                 "all three generations with words of 80000000 on every rank, before any call",
                 word, next,
                 by_halves ? "it is armed for 16-bit elements, as FlashInfer's trtllm workspaces "
                             "are, and calls of fp32 would take that for data"
                           : "it is not armed, and calls would take that for data");
  }
  return {};
}

Status ReadGeneration(const lamplight_adopt_options& options, uint64_t* generation_bytes) {
  uint32_t flags[protocol::kFlagWords];
  Copies copies;
  LAMPLIGHT_TRY(copies.Open());
  LAMPLIGHT_TRY(copies.Copy(flags, options.flags, sizeof flags));
  LAMPLIGHT_TRY(CheckFlags(flags));
  LAMPLIGHT_TRY(CheckArmed(options, flags));
  *generation_bytes = flags[protocol::kBytesPerBuffer];
  if (options.generation_bytes == 0 || options.generation_bytes == *generation_bytes) return {};
  return Error(LAMPLIGHT_ERROR_STATE,
               "options->generation_bytes is %llu and the flag words say %llu: give 0 or the same",
               static_cast<unsigned long long>(options.generation_bytes),
               static_cast<unsigned long long>(*generation_bytes));
}

Status CheckHeaders(uint64_t offset, uint64_t generation_bytes) {
  if (offset == 0) return {};
  const uint64_t end = protocol::kGenerations * generation_bytes;
  if (offset % kHeaderAlignment == 0 && offset >= end) return {};
  return Error(
      LAMPLIGHT_ERROR_VALUE,
      "options->header_offset is %llu: give 0, or a multiple of 128 behind the generations, "
      "which end at %llu",
      static_cast<unsigned long long>(offset), static_cast<unsigned long long>(end));
}

Status Adopt(const lamplight_adopt_options& options, Workspace* workspace) {
  void* peers[kMaxWorld] = {};
  Capacity& capacity = workspace->capacity;
  capacity = {Protocol::kMnnvl, options.world, 0};
  LAMPLIGHT_TRY(ReadPeers(options, peers));
  LAMPLIGHT_TRY(ReadGeneration(options, &capacity.generation_bytes));
  LAMPLIGHT_TRY(CheckHeaders(options.header_offset, capacity.generation_bytes));
  CollectiveCall& common = workspace->common;
  common.state = options.flags;
  common.local = options.local;
  common.multicast = options.multicast;
  common.header_offset = options.header_offset;
  common.world = options.world;
  common.rank = options.rank;
  LAMPLIGHT_TRY(workspace->PrepareDevice(options.multiprocessors));
  return workspace->SetPeers(peers);
}

}  // namespace

Status AdoptWorkspace(const lamplight_adopt_options* from, std::unique_ptr<Workspace>* workspace) {
  lamplight_adopt_options options{};
  constexpr size_t kLeast = LAMPLIGHT_BYTES_THROUGH(lamplight_adopt_options, multicast);
  LAMPLIGHT_TRY(ReadVersioned(from, kLeast, "options", &options));
  LAMPLIGHT_TRY(CheckWorld(options.world, options.rank, "options"));
  LAMPLIGHT_TRY(CheckAddresses(options));
  auto made = std::make_unique<Workspace>();
  LAMPLIGHT_TRY(ReadPatience(options.timeout_ms, options.on_timeout, options.on_divergence,
                             "options", &made->patience));
  LAMPLIGHT_TRY(ResolveDevice(options.device, &made->device));
  const DeviceScope scope(made->device);
  LAMPLIGHT_TRY(FromCuda(scope.status(), "cudaSetDevice"));
  LAMPLIGHT_TRY(Adopt(options, made.get()));
  *workspace = std::move(made);
  return {};
}

}  // namespace lamplight::kernels
