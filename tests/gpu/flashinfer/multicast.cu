// What NVLink multicast does, by a kernel: every 16-byte packet that is stored into an outbox is
// stored into all ranks' buffers at the same offset, and the packet of the outbox is emptied.
//
// Runs beside the all-reduce that writes the outbox, on a stream of its own. `calls[0]` counts the
// calls and so tells the generation, as the all-reduce's flags do; `calls[1]` is zero between
// calls. Compiled to PTX by prepare.sh, launched by multicast.py. Any number of blocks.

namespace {

constexpr unsigned kSentinel = 0x80000000u;
constexpr unsigned kGenerations = 3;

__device__ uint4 Look(const uint4* at) {
  uint4 packet;
  asm volatile("ld.volatile.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(packet.x), "=r"(packet.y), "=r"(packet.z), "=r"(packet.w)
               : "l"(at)
               : "memory");
  return packet;
}

__device__ void Put(uint4* at, const uint4& packet) {
  asm volatile("st.volatile.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(at), "r"(packet.x),
               "r"(packet.y), "r"(packet.z), "r"(packet.w)
               : "memory");
}

__device__ bool Complete(const uint4& packet) {
  return packet.x != kSentinel && packet.y != kSentinel && packet.z != kSentinel &&
         packet.w != kSentinel;
}

}  // namespace

// Offsets and sizes in packets. The rank sends `rows` rows of `row_packets`: row k is at
// `first + k * stride` of the generation.
extern "C" __global__ void forward(uint4* outbox, uint4* const* buffers, unsigned world,
                                   volatile unsigned* calls, unsigned generation_packets,
                                   unsigned first, unsigned stride, unsigned rows,
                                   unsigned row_packets) {
  const unsigned generation = calls[0] % kGenerations;
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < rows * row_packets;
       i += gridDim.x * blockDim.x) {
    const unsigned long long at = 1ull * generation * generation_packets + first +
                                  1ull * (i / row_packets) * stride + i % row_packets;
    uint4 packet = Look(outbox + at);
    while (!Complete(packet)) packet = Look(outbox + at);
    for (unsigned rank = 0; rank < world; ++rank) Put(buffers[rank] + at, packet);
    Put(outbox + at, make_uint4(kSentinel, kSentinel, kSentinel, kSentinel));
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  // Every block has read the count when the last one comes here.
  if (atomicAdd(const_cast<unsigned*>(calls) + 1, 1u) + 1 != gridDim.x) return;
  calls[0] = calls[0] + 1;
  calls[1] = 0;
}
