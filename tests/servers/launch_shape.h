// Grids of the kernels and the launch attributes that the field uses. Thread-safe: no state.
#pragma once

#include <cuda_runtime.h>

#include "collective.h"
#include "cuda_check.h"

namespace piecewise {

inline constexpr int kElementsPerThread = 8;  // bf16 in 16 bytes
inline constexpr int kTwoShotBlock = 128;
inline constexpr int kPreferredBlock = 256;
inline constexpr int kMaxCluster = 8;

constexpr int CeilDiv(int value, int by) { return (value + by - 1) / by; }
constexpr int RoundUp(int value, int to) { return CeilDiv(value, to) * to; }

struct LaunchShape {
  dim3 grid;
  int block;
  int cluster;
};

// One cluster per token; blocks are whole warps.
inline LaunchShape FusedShape(int tokens, int dim, int device_major) {
  const int threads = CeilDiv(dim, kElementsPerThread);
  int cluster = 1;
  const int widest = device_major >= 9 ? kMaxCluster : 1;
  while (cluster < widest && CeilDiv(threads, cluster) > kPreferredBlock) cluster *= 2;
  const int block = RoundUp(CeilDiv(threads, cluster), 32);
  return {dim3(static_cast<unsigned>(tokens), static_cast<unsigned>(cluster), 1), block, cluster};
}

inline LaunchShape TwoShotShape(int tokens, int dim) {
  const int blocks = CeilDiv(CeilDiv(dim, kElementsPerThread), kTwoShotBlock);
  return {dim3(static_cast<unsigned>(tokens), static_cast<unsigned>(blocks), 1), kTwoShotBlock, 0};
}

// Attribute 0 is always programmatic stream serialisation; a cluster of 0 sets no cluster
// dimension.
template <class... Parameters, class... Arguments>
void LaunchCollective(const LaunchShape& shape, const Endpoint& end, cudaStream_t stream,
                      const char* name, void (*kernel)(Parameters...), Arguments... arguments) {
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed =
      end.pdl && end.device_major >= 9 ? 1 : 0;
  attributes[1].id = cudaLaunchAttributeClusterDimension;
  attributes[1].val.clusterDim.x = 1;
  attributes[1].val.clusterDim.y = static_cast<unsigned>(shape.cluster);
  attributes[1].val.clusterDim.z = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = dim3(static_cast<unsigned>(shape.block), 1, 1);
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = shape.cluster > 0 && end.device_major >= 9 ? 2 : 1;
  Check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), name);
}

template <class Kernel>
void PreloadKernel(Kernel kernel, const char* name) {
  cudaFuncAttributes attributes;
  Check(cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(kernel)), name);
}

}  // namespace piecewise
