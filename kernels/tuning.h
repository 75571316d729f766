// Which algorithm is faster: figures, and the reasons for them. Pure; thread-safe.
//
// Every rank must come to the same answer: integers only, and kTuningVersion is compared when ranks
// meet.
#pragma once

#include <cstdint>

namespace lamplight::kernels {

// Counts the changes of any figure or rule that PrefersTwoShot uses.
inline constexpr uint32_t kTuningVersion = 1;

// With W ranks and a payload of P bytes on each, a link carries (W − 1) P in one-shot: every rank
// sends all of P to every other. In two-shot it carries (W − 1) / W × P twice: rows to their
// owners, sums from them. Two-shot pays for that with a second trip and its polling. What others'
// kernels take on four H100s over NVLink, bf16, hidden 4096: FlashInfer's fused one-shot 10.2 µs at
// 0.5 MiB, 14.1 at 1 MiB, 23.8 at 2 MiB; PyTorch's symmetric-memory two-shot, the all-reduce alone,
// 10.9, 14.0, 19.3. So they are even at 1 MiB, where one-shot's surplus (W − 1) (1 − 2 / W) P
// is 1.5 MiB. Taken as the surplus that the second trip costs for any W; ours have not been
// measured there (docs/performance.md). A multicast address saves sending, not receiving, and the
// surplus received is the same.
inline constexpr uint64_t kSecondTripBytes = 3u << 19;

constexpr bool PrefersTwoShot(uint64_t world, uint64_t payload_bytes) {
  return (world - 1) * (world - 2) * payload_bytes > kSecondTripBytes * world;
}

// The largest payload for which one-shot is preferred; no bound for two ranks, where both send P.
constexpr uint64_t LargestOneShotPayload(uint64_t world) {
  if (world <= 2) return UINT64_MAX;
  return kSecondTripBytes * world / ((world - 1) * (world - 2));
}

// Streamed grids. Some blocks only send, and together they store as much as the link takes less a
// little: whatever they store beyond that stands in the way of all other traffic. A multiprocessor
// stores 24 to 30 GB/s to a peer by itself, so that 12 of them fill the link between two H200s with
// 18 NVLink links almost; more of them that keep a pace fill it better (docs/performance.md). The
// field's protocols store and clear more beside, and want more room. No rank has to choose as
// another does.
struct Stream {
  uint32_t blocks;
  uint32_t bytes_per_us;  // all of them together, to all peers; 0: as fast as they can
};

constexpr Stream StreamOf(bool field_protocol, uint32_t compute_major) {
  // What other devices' links take is not known.
  if (compute_major != 9) return {12, 0};
  return field_protocol ? Stream{16, 345'000} : Stream{20, 360'000};
}

// How long a row of so many bytes, to so many peers, keeps its sender busy.
constexpr uint32_t PaceNs(const Stream& stream, uint64_t row_bytes, uint32_t peers,
                          uint32_t senders) {
  if (stream.bytes_per_us == 0) return 0;
  return static_cast<uint32_t>(row_bytes * peers * senders * 1000 / stream.bytes_per_us);
}

static_assert(!PrefersTwoShot(2, 1ull << 30));
static_assert(!PrefersTwoShot(4, 1u << 20) && PrefersTwoShot(4, (1u << 20) + 1));
static_assert(LargestOneShotPayload(4) == 1u << 20 && LargestOneShotPayload(8) < 300 * 1024);

}  // namespace lamplight::kernels
