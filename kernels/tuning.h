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

// Blocks of a streamed grid that only send: as many as fill the link, for more of them only stand
// in the way of all other traffic. Between two H200s with 18 links a multiprocessor stores 24 to 30
// GB/s to a peer, and the link takes 360 (docs/performance.md). `twice`: a row is stored into this
// rank's own buffer, too, and there is one peer. No rank has to choose as another does.
constexpr uint32_t SendingBlocks(bool twice, uint32_t block_threads) {
  return 12 + (block_threads <= 384 ? 2 : 0) + (twice ? 2 : 0);
}

static_assert(!PrefersTwoShot(2, 1ull << 30));
static_assert(!PrefersTwoShot(4, 1u << 20) && PrefersTwoShot(4, (1u << 20) + 1));
static_assert(LargestOneShotPayload(4) == 1u << 20 && LargestOneShotPayload(8) < 300 * 1024);

}  // namespace lamplight::kernels
