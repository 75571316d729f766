// The model around the collectives: two small kernels. Thread-safe; throws CudaError.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace piecewise {

// Rows below *request_tokens of `input` to `hidden`, zeros to the rest and to all of `residual`.
struct EmbedCall {
  const void* input;
  const uint32_t* request_tokens;
  void* hidden;
  void* residual;
  int tokens;
  int dim;
};
void LaunchEmbed(const EmbedCall& call, cudaStream_t stream);

// shard = hidden * scale, and where `patch` (optional) is not zero, its bits instead.
struct ScaleCall {
  const void* hidden;
  const void* patch;
  void* shard;
  float scale;
  int tokens;
  int dim;
};
void LaunchScale(const ScaleCall& call, cudaStream_t stream);

void PreloadLayers();

}  // namespace piecewise
