// What one rank runs for a request: the small kernels and the collectives, into a stream that may
// be capturing. Used by its rank's thread only.
#pragma once

#include <cstdint>

#include "collective.h"
#include "device_memory.h"
#include "options.h"
#include "workspace.h"

namespace piecewise {

class Model {
 public:
  Model(const Options& options, int rank, const Workspace& workspace);

  // Host values of the next request; the copies go in front of it on the stream.
  std::span<uint16_t> input() const { return host_input_.first(host_size_); }
  std::span<const uint16_t> output() const { return host_output_.first(host_size_); }

  void Upload(int tokens, cudaStream_t stream) const;
  // `tokens`: the bucket's, or the request's own.
  void Run(int tokens, cudaStream_t stream);
  // One collective on scratch buffers of its own, next to whatever else uses the workspace.
  void RunBare(int tokens, cudaStream_t stream);
  void Download(int tokens, cudaStream_t stream) const;
  void Patch(std::span<const uint16_t> patch, cudaStream_t stream) const;

 private:
  uint16_t* AllocateShard(cudaStream_t stream) const;
  void FreeShard(uint16_t* shard, cudaStream_t stream) const;
  size_t Elements(int tokens) const { return static_cast<size_t>(tokens) * dim_; }

  const Options& options_;
  int rank_;
  size_t dim_;
  size_t host_size_;
  const Collective* collective_;
  Endpoint endpoint_;
  uint32_t calls_ = 0;
  DeviceBuffer<uint16_t> gamma_, input_, hidden_, shard_, residual_[2], patch_, scratch_;
  DeviceBuffer<uint32_t> request_tokens_;
  PinnedBuffer<uint16_t> host_input_, host_output_;
  PinnedBuffer<uint32_t> host_tokens_;
};

}  // namespace piecewise
