// See all_reduce.h; the order of events is that of the kernels in tests/servers.
#include "all_reduce.h"

namespace device_sim {
namespace {

namespace protocol = lamplight::protocol;

enum Stage : uint32_t { kScatter = 0, kBroadcast = 1, kTwoShotStages = 2 };

uint32_t RowBytes(const Job& job) { return job.dim * 2; }

void UpdateTwoShot(const Lamport& lamport, const Job& job, uint32_t target) {
  const uint32_t rounded = (job.tokens + job.world - 1) / job.world * job.world;
  lamport.Update(target, rounded * RowBytes(job), job.tokens * RowBytes(job));
}

std::vector<uint32_t> AwaitBroadcast(const Lamport& lamport, const Policy& policy, const Job& job,
                                     uint32_t token) {
  const uint32_t* row =
      lamport.Stage(job.local, kBroadcast) + protocol::BroadcastSlot(token, job.row_words());
  std::vector<uint32_t> sums(job.row_words());
  for (size_t i = 0; i < sums.size(); ++i) {
    const bool decides = i % 4 == 0 || policy.check_all_words;
    sums[i] = decides ? lamport.Await(row + i, policy.compare) : LoadWord(row + i);
  }
  return sums;
}

void Scatter(const Lamport& lamport, const Job& job) {
  for (uint32_t token = 0; token < job.tokens; ++token) {
    const std::vector<uint32_t> row = SanitisedRow(job, token);
    uint32_t* slot = lamport.Stage(job.peers[token % job.world], kScatter) +
                     protocol::ScatterSlot(token, job.rank, job.world, job.row_words());
    SendRow(slot, row.data(), row.size());
  }
}

void ReduceOwnTokens(const Lamport& lamport, const Policy& policy, const Job& job) {
  for (uint32_t token = job.rank; token < job.tokens; token += job.world) {
    const uint32_t* first = lamport.Stage(job.local, kScatter) +
                            protocol::ScatterSlot(token, 0, job.world, job.row_words());
    std::vector<uint32_t> sums = AwaitSum(lamport, job, first, policy.compare);
    if (policy.sanitise_sums) {
      for (uint32_t& word : sums) word = Sanitised(word);
    }
    SendRowToAll(lamport, job, kBroadcast, protocol::BroadcastSlot(token, job.row_words()),
                 sums.data());
  }
}

void CheckReach(const KernelContext& context, const Job& job) {
  for (uint32_t rank = 0; rank < job.world; ++rank) {
    context.CheckReach(reinterpret_cast<uintptr_t>(job.peers[rank]));
  }
}

void StoreRow(const Job& job, uint32_t token, const std::vector<uint32_t>& row) {
  uint16_t* out = job.out + static_cast<size_t>(token) * job.dim;
  for (size_t i = 0; i < row.size(); ++i) {
    out[2 * i] = static_cast<uint16_t>(row[i]);
    out[2 * i + 1] = static_cast<uint16_t>(row[i] >> 16);
  }
}

}  // namespace

void OneShot(KernelContext& context, const Policy& policy, const Job& job) {
  CheckReach(context, job);
  const Lamport lamport(context, job.flags, 1);
  for (uint32_t token = 0; token < job.tokens; ++token) {
    SendRowToAll(lamport, job, 0,
                 protocol::OneShotSlot(token, job.rank, job.world, job.row_words()),
                 SanitisedRow(job, token).data());
  }
  lamport.Arrive(Clusters(context));
  lamport.ClearAll(job.local);
  for (uint32_t token = 0; token < job.tokens; ++token) {
    const uint32_t* first =
        lamport.Stage(job.local, 0) + protocol::OneShotSlot(token, 0, job.world, job.row_words());
    FinishToken(job, token, AwaitSum(lamport, job, first, policy.compare));
    // The grid's first thread moves the flags on as soon as its own token is through.
    if (token == 0) lamport.Update(Clusters(context), job.tokens * job.world * RowBytes(job), 0);
  }
}

void TwoShot(KernelContext& context, const Policy& policy, const Job& job, bool wait) {
  CheckReach(context, job);
  const Lamport lamport(context, job.flags, kTwoShotStages);
  Scatter(lamport, job);
  lamport.Clear(job.local, kScatter);
  ReduceOwnTokens(lamport, policy, job);
  lamport.Clear(job.local, kBroadcast);
  if (!wait) return;
  lamport.Arrive(Blocks(context));
  for (uint32_t token = 0; token < job.tokens; ++token) {
    const std::vector<uint32_t> row = AwaitBroadcast(lamport, policy, job, token);
    if (job.out != nullptr) StoreRow(job, token, row);
    if (token == 0) UpdateTwoShot(lamport, job, Blocks(context));
  }
}

void NormAfterTwoShot(KernelContext& context, const Policy& policy, const Job& job) {
  const Lamport lamport(context, job.flags, kTwoShotStages);
  const uint32_t arrivals = policy.block_arrivals ? Blocks(context) : Clusters(context);
  lamport.Arrive(arrivals);
  for (uint32_t token = 0; token < job.tokens; ++token) {
    FinishToken(job, token, AwaitBroadcast(lamport, policy, job, token));
    if (token == 0) UpdateTwoShot(lamport, job, arrivals);
  }
}

}  // namespace device_sim
