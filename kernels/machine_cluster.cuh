// What the blocks of a cluster tell each other, on a GPU. Included by machine.cuh.
//
// Every warp sends its parts to every block of the cluster, into memory of that block that signals
// their arrival (mbarrier, st.async). The barrier of a cluster would do, but its release is a
// fence: it waits for all stores of the multiprocessor that are still on their way, over the link
// too.
#pragma once

namespace lamplight::kernels::machine {

inline constexpr uint32_t kMostWarpsOfCluster = 160;
// Several parts, each of every fourth lane: a shuffle takes longer than it takes to read one part
// more.
inline constexpr uint32_t kPartsOfWarp = 4;

// Two of everything: a warp may be one round ahead of another, never two, since each round awaits
// the parts of all warps.
struct Inbox {
  alignas(8) uint64_t arrived[2];
  float part[2][kMostWarpsOfCluster * kPartsOfWarp];
};

LAMPLIGHT_MACHINE Inbox& OwnInbox() {
  __shared__ Inbox inbox;
  return inbox;
}

LAMPLIGHT_MACHINE uint32_t SharedAddress(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// In two halves, around work that needs no order: all blocks of the cluster have begun, and their
// inboxes are open.
LAMPLIGHT_MACHINE void AnnounceToCluster() {
#if __CUDA_ARCH__ >= 900
  if (gridDim.y == 1) return;
  if (threadIdx.x == 0) {
    const uint32_t arrived = SharedAddress(OwnInbox().arrived);
    asm volatile(
        "mbarrier.init.shared::cta.b64 [%0], 1;\n"
        "mbarrier.init.shared::cta.b64 [%1], 1;\n"
        "fence.mbarrier_init.release.cluster;" ::"r"(arrived),
        "r"(arrived + 8)
        : "memory");
  }
  __syncwarp();
  asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
#endif
}
LAMPLIGHT_MACHINE void AwaitClusterBegun() {
#if __CUDA_ARCH__ >= 900
  if (gridDim.y > 1) asm volatile("barrier.cluster.wait;" ::: "memory");
#endif
}
// The same later in a kernel, in two halves too: all threads of the cluster have come this far. It
// orders no stores.
LAMPLIGHT_MACHINE void AnnounceProgress() {
#if __CUDA_ARCH__ >= 900
  if (gridDim.y > 1) asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
#endif
}
LAMPLIGHT_MACHINE void AwaitProgress() { AwaitClusterBegun(); }

#if __CUDA_ARCH__ >= 900
// Each lane sends the part that it holds to one block: there are 8 at most.
LAMPLIGHT_MACHINE void SendPart(Inbox& inbox, uint32_t turn, float part) {
  const uint32_t warps = blockDim.x / kWarp;
  const uint32_t arrived = SharedAddress(&inbox.arrived[turn]);
  if (threadIdx.x == 0) {
    asm volatile(
        "mbarrier.arrive.expect_tx.relaxed.cta.shared::cta.b64 _, [%0], %1;" ::"r"(arrived),
        "r"(warps * gridDim.y * kPartsOfWarp * uint32_t{sizeof part})
        : "memory");
  }
  const uint32_t lane = threadIdx.x % kWarp;
  const uint32_t block = lane / kPartsOfWarp;
  if (block >= gridDim.y) return;
  const uint32_t warp = blockIdx.y * warps + threadIdx.x / kWarp;
  const uint32_t place =
      SharedAddress(&inbox.part[turn][warp * kPartsOfWarp + lane % kPartsOfWarp]);
  asm volatile(
      "{.reg .b32 to, signal;\n"
      "mapa.shared::cluster.u32 to, %0, %2;\n"
      "mapa.shared::cluster.u32 signal, %1, %2;\n"
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [to], %3, [signal];}" ::"r"(place),
      "r"(arrived), "r"(block), "r"(__float_as_uint(part))
      : "memory");
}

LAMPLIGHT_MACHINE void AwaitParts(Inbox& inbox, uint32_t turn, uint32_t phase) {
  const uint32_t arrived = SharedAddress(&inbox.arrived[turn]);
  uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{.reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.b32 %0, 1, 0, p;}"
        : "=r"(done)
        : "r"(arrived), "r"(phase)
        : "memory");
  }
}
#endif

// Over all lanes that are alike modulo `kParts`.
template <uint32_t kParts, class Combine>
LAMPLIGHT_MACHINE float WarpCombine(float value, Combine combine) {
#pragma unroll
  for (uint32_t lanes = kWarp / 2; lanes >= kParts; lanes /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, lanes));
  }
  return value;
}

// Read without a loop.
inline constexpr uint32_t kUsualParts = 3 * kWarp;

template <class Combine>
LAMPLIGHT_MACHINE float ClusterCombine(float value, uint32_t round, Combine combine) {
  const uint32_t turn = round % 2;
  const uint32_t warps = blockDim.x / kWarp;
  const uint32_t lane = threadIdx.x % kWarp;
  Inbox& inbox = OwnInbox();
  const float part = WarpCombine<kPartsOfWarp>(value, combine);
  if (gridDim.y == 1) {
    const uint32_t warp = threadIdx.x / kWarp;
    if (lane < kPartsOfWarp) inbox.part[turn][warp * kPartsOfWarp + lane] = part;
    __syncthreads();
  } else {
#if __CUDA_ARCH__ >= 900
    SendPart(inbox, turn, part);
    AwaitParts(inbox, turn, round / 2 % 2);
#endif
  }
  const uint32_t parts = warps * gridDim.y * kPartsOfWarp;
  float some[kUsualParts / kWarp];  // all under way together
#pragma unroll
  for (uint32_t i = 0; i < kUsualParts / kWarp; ++i) {
    const uint32_t place = lane + i * kWarp;
    some[i] = place < parts ? inbox.part[turn][place] : 0.0f;
  }
  float all = some[0];
#pragma unroll
  for (uint32_t i = 1; i < kUsualParts / kWarp; ++i) all = combine(all, some[i]);
#pragma unroll 1
  for (uint32_t i = lane + kUsualParts; i < parts; i += kWarp) {
    all = combine(all, inbox.part[turn][i]);
  }
  return WarpCombine<1>(all, combine);
}

// Over all threads of the cluster, in an order that does not depend on timing. Rounds count from 0.
// When it returns, all threads of the cluster have called it.
LAMPLIGHT_MACHINE float ClusterSum(float value, uint32_t round) {
  return ClusterCombine(value, round, [](float a, float b) { return a + b; });
}
// Of values that are not negative.
LAMPLIGHT_MACHINE float ClusterMax(float value, uint32_t round) {
  return ClusterCombine(value, round, [](float a, float b) { return fmaxf(a, b); });
}

}  // namespace lamplight::kernels::machine
