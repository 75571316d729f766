// What the blocks of a cluster tell each other, on a GPU. Included by machine.cuh.
//
// Every warp sends its part to every block of the cluster, into memory of that block that signals
// their arrival (mbarrier, st.async). The barrier of a cluster would do, but its release is a
// fence: it waits for all stores of the multiprocessor that are still on their way, over the link
// too.
#pragma once

namespace lamplight::kernels::machine {

inline constexpr uint32_t kMostWarpsOfCluster = 160;

// Two of everything: a warp may be one round ahead of another, never two, since each round awaits
// the parts of all warps.
struct Inbox {
  alignas(8) uint64_t arrived[2];
  float part[2][kMostWarpsOfCluster];
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
// Lane b sends the warp's part to block b.
LAMPLIGHT_MACHINE void SendPart(Inbox& inbox, uint32_t turn, float part) {
  const uint32_t warps = blockDim.x / kWarp;
  const uint32_t arrived = SharedAddress(&inbox.arrived[turn]);
  if (threadIdx.x == 0) {
    asm volatile(
        "mbarrier.arrive.expect_tx.relaxed.cta.shared::cta.b64 _, [%0], %1;" ::"r"(arrived),
        "r"(warps * gridDim.y * uint32_t{sizeof part})
        : "memory");
  }
  const uint32_t lane = threadIdx.x % kWarp;
  if (lane >= gridDim.y) return;
  const uint32_t place = SharedAddress(&inbox.part[turn][blockIdx.y * warps + threadIdx.x / kWarp]);
  asm volatile(
      "{.reg .b32 to, signal;\n"
      "mapa.shared::cluster.u32 to, %0, %2;\n"
      "mapa.shared::cluster.u32 signal, %1, %2;\n"
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [to], %3, [signal];}" ::"r"(place),
      "r"(arrived), "r"(lane), "r"(__float_as_uint(part))
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

template <class Combine>
LAMPLIGHT_MACHINE float WarpCombine(float value, Combine combine) {
#pragma unroll
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, lanes));
  }
  return value;
}

template <class Combine>
LAMPLIGHT_MACHINE float ClusterCombine(float value, uint32_t round, Combine combine) {
  const uint32_t turn = round % 2;
  const uint32_t warps = blockDim.x / kWarp;
  const uint32_t lane = threadIdx.x % kWarp;
  Inbox& inbox = OwnInbox();
  const float part = WarpCombine(value, combine);
  if (gridDim.y == 1) {
    if (lane == 0) inbox.part[turn][threadIdx.x / kWarp] = part;
    __syncthreads();
  } else {
#if __CUDA_ARCH__ >= 900
    SendPart(inbox, turn, part);
    AwaitParts(inbox, turn, round / 2 % 2);
#endif
  }
  const uint32_t parts = warps * gridDim.y;
  float all = lane < parts ? inbox.part[turn][lane] : 0.0f;
#pragma unroll 1
  for (uint32_t i = lane + kWarp; i < parts; i += kWarp) all = combine(all, inbox.part[turn][i]);
  return WarpCombine(all, combine);
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
