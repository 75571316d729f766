// bakedIndexAllreduceKernel of tests/servers: one-shot whose generation comes from the host.
#include <string>

#include "lamport.h"

namespace device_sim {
namespace {

namespace protocol = lamplight::protocol;

// Every rank's slot of the generation before, as far as this call reaches.
void EmptyPrevious(Lamport lamport, const Job& job, uint32_t generation) {
  lamport.UseGeneration((generation + protocol::kGenerations - 1) % protocol::kGenerations);
  uint32_t* previous = lamport.Stage(job.local, 0);
  const size_t words = size_t{job.tokens} * job.world * job.row_words();
  for (size_t i = 0; i < words; ++i) StoreWord(previous + i, protocol::kSentinel);
}

void Run(KernelContext& context, const Job& job, uint32_t index) {
  Lamport lamport(context, job.flags, 1);
  const uint32_t generation = index % protocol::kGenerations;
  lamport.UseGeneration(generation);
  EmptyPrevious(lamport, job, generation);
  for (uint32_t token = 0; token < job.tokens; ++token) {
    SendRowToAll(lamport, job, 0,
                 protocol::OneShotSlot(token, job.rank, job.world, job.row_words()),
                 SanitisedRow(job, token).data());
  }
  lamport.Arrive(Clusters(context));
  for (uint32_t token = 0; token < job.tokens; ++token) {
    const uint32_t* first =
        lamport.Stage(job.local, 0) + protocol::OneShotSlot(token, 0, job.world, job.row_words());
    FinishToken(job, token, AwaitSum(lamport, job, first, protocol::Compare::kBitwise));
  }
  lamport.Update(Clusters(context), job.tokens * job.world * job.dim * 2, 0);
}

template <uint32_t World>
void BakedIndex(KernelContext& context, uint16_t* out, uint16_t* prenorm, const uint16_t* shard,
                const uint16_t* residual, const uint16_t* gamma, uint32_t* const* peers, int tokens,
                int dim, float epsilon, int rank, uint32_t* flags, uint32_t index) {
  Job job = {out, prenorm, shard, residual, gamma, peers, nullptr, peers[rank]};
  job.world = World;
  job.rank = static_cast<uint32_t>(rank);
  job.tokens = static_cast<uint32_t>(tokens);
  job.dim = static_cast<uint32_t>(dim);
  job.epsilon = epsilon;
  job.flags = flags;
  Run(context, job, index);
}

const KernelRegistration two("_ZN9piecewise25bakedIndexAllreduceKernelILi2EE", BakedIndex<2>);
const KernelRegistration four("_ZN9piecewise25bakedIndexAllreduceKernelILi4EE", BakedIndex<4>);
const KernelRegistration eight("_ZN9piecewise25bakedIndexAllreduceKernelILi8EE", BakedIndex<8>);

}  // namespace
}  // namespace device_sim
