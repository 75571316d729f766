// The small kernels between the collectives: padding of a request to its bucket, and the layer's
// own work, which makes the shard that the next all-reduce adds up.
#include "layers.h"

#include <cuda_bf16.h>

#include "launch_shape.h"

namespace piecewise {
namespace {

using Bf16 = __nv_bfloat16;

constexpr unsigned kBlock = 128;

unsigned BlocksFor(int elements) {
  return static_cast<unsigned>(CeilDiv(elements, static_cast<int>(kBlock)));
}

}  // namespace

__global__ void embedKernel(const Bf16* input, const uint32_t* request_tokens, Bf16* hidden,
                            Bf16* residual, int elements, int dim) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= elements) return;
  const Bf16 zero = __float2bfloat16(0.0f);
  hidden[i] = static_cast<uint32_t>(i / dim) < *request_tokens ? input[i] : zero;
  residual[i] = zero;
}

__global__ void scaleKernel(const Bf16* hidden, const uint16_t* patch, Bf16* shard, float scale,
                            int elements) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= elements) return;
  const uint16_t bits = patch == nullptr ? uint16_t{0} : patch[i];
  shard[i] = bits != 0 ? __ushort_as_bfloat16(bits)
                       : __float2bfloat16(__bfloat162float(hidden[i]) * scale);
}

void LaunchEmbed(const EmbedCall& call, cudaStream_t stream) {
  const int elements = call.tokens * call.dim;
  embedKernel<<<BlocksFor(elements), kBlock, 0, stream>>>(
      static_cast<const Bf16*>(call.input), call.request_tokens, static_cast<Bf16*>(call.hidden),
      static_cast<Bf16*>(call.residual), elements, call.dim);
  Check(cudaGetLastError(), "launch of embedKernel");
}

void LaunchScale(const ScaleCall& call, cudaStream_t stream) {
  const int elements = call.tokens * call.dim;
  scaleKernel<<<BlocksFor(elements), kBlock, 0, stream>>>(
      static_cast<const Bf16*>(call.hidden), static_cast<const uint16_t*>(call.patch),
      static_cast<Bf16*>(call.shard), call.scale, elements);
  Check(cudaGetLastError(), "launch of scaleKernel");
}

void PreloadLayers() {
  PreloadKernel(&embedKernel, "loading embedKernel");
  PreloadKernel(&scaleKernel, "loading scaleKernel");
}

}  // namespace piecewise
