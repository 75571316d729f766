// Buffers of a rank's model and the launches of one request.
#include "model.h"

#include "layers.h"
#include "payload.h"

namespace piecewise {
namespace {

constexpr float kEpsilon = 1e-5f;

const Collective* CollectiveFor(Kernel kernel) {
  switch (kernel) {
    case Kernel::kGood:
      return &kGoodCollective;
    case Kernel::kBakedIndex:
      return &kBakedIndexCollective;
    case Kernel::kLegacy:
    case Kernel::kLostUpdate:
      break;
  }
  return &kLegacyCollective;
}

int DeviceMajor() {
  int device = 0;
  int major = 0;
  PIECEWISE_CHECK(cudaGetDevice(&device));
  PIECEWISE_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  return major;
}

}  // namespace

Model::Model(const Options& options, int rank, const Workspace& workspace)
    : options_(options),
      rank_(rank),
      dim_(static_cast<size_t>(options.dim)),
      host_size_(Elements(options.max_tokens())),
      collective_(CollectiveFor(options.kernel)),
      endpoint_(workspace.endpoint()),
      gamma_(dim_),
      input_(host_size_),
      hidden_(host_size_),
      shard_(host_size_),
      residual_{DeviceBuffer<uint16_t>(host_size_), DeviceBuffer<uint16_t>(host_size_)},
      patch_(host_size_),
      scratch_(4 * host_size_),
      request_tokens_(1),
      host_input_(host_size_),
      host_output_(host_size_),
      host_tokens_(1) {
  gamma_.CopyFrom(MakeGamma(options.dim));
  endpoint_.gamma = gamma_.get();
  endpoint_.dim = options.dim;
  endpoint_.epsilon = kEpsilon;
  endpoint_.pdl = options.pdl;
  endpoint_.device_major = DeviceMajor();
  collective_->preload(options.world);
  PreloadLayers();
}

void Model::Upload(int tokens, cudaStream_t stream) const {
  *host_tokens_.get() = static_cast<uint32_t>(tokens);
  PIECEWISE_CHECK(cudaMemcpyAsync(request_tokens_.get(), host_tokens_.get(), sizeof(uint32_t),
                                  cudaMemcpyHostToDevice, stream));
  PIECEWISE_CHECK(cudaMemcpyAsync(input_.get(), host_input_.get(),
                                  Elements(tokens) * sizeof(uint16_t), cudaMemcpyHostToDevice,
                                  stream));
}

uint16_t* Model::AllocateShard(cudaStream_t stream) const {
  if (!options_.stream_memory) return shard_.get();
  void* shard = nullptr;
  PIECEWISE_CHECK(cudaMallocAsync(&shard, host_size_ * sizeof(uint16_t), stream));
  return static_cast<uint16_t*>(shard);
}

void Model::FreeShard(uint16_t* shard, cudaStream_t stream) const {
  if (options_.stream_memory) PIECEWISE_CHECK(cudaFreeAsync(shard, stream));
}

void Model::Run(int tokens, cudaStream_t stream) {
  uint16_t* shard = AllocateShard(stream);
  LaunchEmbed({input_.get(), request_tokens_.get(), hidden_.get(), residual_[0].get(), tokens,
               options_.dim},
              stream);
  for (int layer = 0; layer < options_.layers; ++layer) {
    const bool patched = SendsPoison(options_, rank_) && layer == options_.poison_layer;
    LaunchScale({hidden_.get(), patched ? patch_.get() : nullptr, shard, LayerScale(rank_, layer),
                 tokens, options_.dim},
                stream);
    collective_->launch(endpoint_,
                        {shard, residual_[layer % 2].get(), residual_[(layer + 1) % 2].get(),
                         hidden_.get(), tokens, options_.TwoShotFor(tokens), calls_++},
                        stream);
  }
  FreeShard(shard, stream);
}

void Model::RunBare(int tokens, cudaStream_t stream) {
  uint16_t* scratch = scratch_.get();
  const size_t part = host_size_;
  collective_->launch(endpoint_,
                      {scratch, scratch + part, scratch + 2 * part, scratch + 3 * part, tokens,
                       options_.TwoShotFor(tokens), calls_++},
                      stream);
}

void Model::Download(int tokens, cudaStream_t stream) const {
  PIECEWISE_CHECK(cudaMemcpyAsync(host_output_.get(), hidden_.get(),
                                  Elements(tokens) * sizeof(uint16_t), cudaMemcpyDeviceToHost,
                                  stream));
}

void Model::Patch(std::span<const uint16_t> patch, cudaStream_t stream) const {
  PIECEWISE_CHECK(cudaMemcpyAsync(patch_.get(), patch.data(), patch.size_bytes(),
                                  cudaMemcpyHostToDevice, stream));
  PIECEWISE_CHECK(cudaStreamSynchronize(stream));
}

}  // namespace piecewise
