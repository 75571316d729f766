// See rank.h. Everything that may allocate or load happens before the first request: behind a
// spinning collective such calls would wait for ever.
#include "rank.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "device_memory.h"
#include "model.h"
#include "payload.h"
#include "reference.h"
#include "workspace.h"

namespace piecewise {
namespace {

constexpr int kFaultyRank = 1;
constexpr auto kTimeToStart = std::chrono::milliseconds(300);  // both kernels of an overlap

void StallForEver(void*) {
  for (;;) pause();
}

class Rank {
 public:
  Rank(const Options& options, int rank, Rendezvous& rendezvous)
      : options_(options),
        rank_(rank),
        rendezvous_(rendezvous),
        workspace_(options, rank, rendezvous),
        model_(options, rank, workspace_),
        stream_(MakeStream()),
        second_stream_(MakeStream()) {}

  void WarmUp();
  void Capture();
  void Serve();
  void Publish();

 private:
  void ServeOne(const Request& request);
  void Submit(const Request& request);
  void SubmitGraph(const Request& request);
  void Overlap(const Request& request);
  void StartPoison(const Request& request);
  bool FaultNow(const Request& request, Fault fault) const;
  void MeetAll();

  const Options& options_;
  int rank_;
  Rendezvous& rendezvous_;
  Workspace workspace_;
  Model model_;
  Stream stream_;
  Stream second_stream_;
  std::vector<GraphExec> execs_;
  Fnv64 checksum_;
  RankResult result_;
};

void Rank::MeetAll() {
  rendezvous_.Step(rank_);
  rendezvous_.Barrier();
}

void Rank::WarmUp() {
  MeetAll();
  for (const int tokens : options_.buckets) {
    FillInput(
        options_, {-1, tokens, true}, rank_,
        model_.input().first(static_cast<size_t>(tokens) * static_cast<size_t>(options_.dim)));
    model_.Upload(tokens, stream_.get());
    model_.Run(tokens, stream_.get());
    PIECEWISE_CHECK(cudaStreamSynchronize(stream_.get()));
  }
  MeetAll();
}

void Rank::Capture() {
  // Threads of one process must not end each other's captures.
  const auto mode =
      options_.threads ? cudaStreamCaptureModeThreadLocal : cudaStreamCaptureModeGlobal;
  for (const int tokens : options_.buckets) {
    PIECEWISE_CHECK(cudaStreamBeginCapture(stream_.get(), mode));
    model_.Run(tokens, stream_.get());
    cudaGraph_t captured = nullptr;
    PIECEWISE_CHECK(cudaStreamEndCapture(stream_.get(), &captured));
    const Graph graph(captured);
    cudaGraphExec_t exec = nullptr;
    PIECEWISE_CHECK(cudaGraphInstantiateWithFlags(&exec, graph.get(), 0));
    execs_.emplace_back(exec);
    PIECEWISE_CHECK(cudaGraphUpload(exec, stream_.get()));
    rendezvous_.Step(rank_);
  }
  PIECEWISE_CHECK(cudaStreamSynchronize(stream_.get()));
  MeetAll();
}

bool Rank::FaultNow(const Request& request, Fault fault) const {
  return options_.fault == fault && request.number == options_.fault_request;
}

void Rank::StartPoison(const Request& request) {
  if (!SendsPoison(options_, rank_) || request.number != options_.poison_request) return;
  const Poison poison = MakePoison(options_, rank_, request.tokens);
  const bool sums = options_.payload == Payload::kNegativeZeroSum;
  std::fprintf(stderr,
               "rank %d: request %d (%d tokens, bucket %d) sends %d %s in layer %d, "
               "the first in token %d, word %d\n",
               rank_, request.number, request.tokens,
               options_.buckets[BucketFor(options_, request.tokens)], poison.elements,
               sums ? "parts of tiny negative sums" : "negative subnormals", options_.poison_layer,
               poison.first_token, poison.first_element / 2);
  model_.Patch(poison.patch, stream_.get());
}

// Only rank 0 has both in flight: they read one index, and neither can be over before the peers
// join in. The peers run one after the other, so that their second call waits for words that rank 0
// sent to the generation of the first.
void Rank::Overlap(const Request& request) {
  const size_t bucket = BucketFor(options_, request.tokens);
  const bool first = rank_ == 0;
  if (!first) rendezvous_.Barrier();
  PIECEWISE_CHECK(cudaGraphLaunch(execs_[bucket].get(), stream_.get()));
  if (!first) PIECEWISE_CHECK(cudaStreamSynchronize(stream_.get()));
  model_.RunBare(options_.buckets[bucket], second_stream_.get());
  if (first) {
    std::this_thread::sleep_for(kTimeToStart);
    rendezvous_.Barrier();
  }
  PIECEWISE_CHECK(cudaStreamSynchronize(second_stream_.get()));
}

void Rank::SubmitGraph(const Request& request) {
  size_t bucket = BucketFor(options_, request.tokens);
  if (rank_ == kFaultyRank && FaultNow(request, Fault::kDiverge)) {
    bucket = bucket + 1 < execs_.size() ? bucket + 1 : bucket - 1;
  }
  PIECEWISE_CHECK(cudaGraphLaunch(execs_[bucket].get(), stream_.get()));
}

void Rank::Submit(const Request& request) {
  if (rank_ == kFaultyRank && FaultNow(request, Fault::kHostStall)) {
    PIECEWISE_CHECK(cudaLaunchHostFunc(stream_.get(), StallForEver, nullptr));
  }
  if (FaultNow(request, Fault::kOverlap)) {
    Overlap(request);
    ++result_.replays;
  } else if (request.eager) {
    model_.Run(request.tokens, stream_.get());
    ++result_.eager;
  } else {
    SubmitGraph(request);
    ++result_.replays;
  }
}

void Rank::ServeOne(const Request& request) {
  if (rank_ == kFaultyRank && FaultNow(request, Fault::kSkip)) return;
  const size_t elements = static_cast<size_t>(request.tokens) * static_cast<size_t>(options_.dim);
  FillInput(options_, request, rank_, model_.input().first(elements));
  StartPoison(request);
  model_.Upload(request.tokens, stream_.get());
  Submit(request);
  model_.Download(request.tokens, stream_.get());
  PIECEWISE_CHECK(cudaStreamSynchronize(stream_.get()));
  const auto output = model_.output().first(elements);
  checksum_.Add({reinterpret_cast<const uint8_t*>(output.data()), output.size_bytes()});
  if (options_.verify) result_.wrong += CountWrong(options_, request, output);
}

void Rank::Serve() {
  for (int number = 0; number < options_.requests; ++number) {
    ServeOne(MakeRequest(options_, number));
    rendezvous_.Step(rank_);
    if (options_.lockstep) rendezvous_.Barrier();
  }
}

void Rank::Publish() {
  result_.checksum = checksum_.value();
  rendezvous_.seat(rank_).result = result_;
  rendezvous_.seat(rank_).done.store(1);
  rendezvous_.Barrier();  // peers may still write into this rank's buffer
}

// The buffers of ranks in other processes are opened with peer access; those of threads are not
// opened at all. Devices 0 to `devices` are in use.
void ReachPeers(int own, int devices) {
  for (int peer = 0; peer < devices; ++peer) {
    if (peer == own) continue;
    int can = 0;
    PIECEWISE_CHECK(cudaDeviceCanAccessPeer(&can, own, peer));
    if (can == 0) {
      throw UsageError("--ranks threads: device " + std::to_string(own) + " cannot access device " +
                       std::to_string(peer) + "; set CUDA_VISIBLE_DEVICES to peers, or to one");
    }
    const cudaError_t status = cudaDeviceEnablePeerAccess(peer, 0);
    if (status == cudaErrorPeerAccessAlreadyEnabled) {
      cudaGetLastError();  // by another rank on this device
    } else {
      PIECEWISE_CHECK(status);
    }
  }
}

}  // namespace

void RunRank(const Options& options, int rank, Rendezvous& rendezvous) {
  int devices = 0;
  PIECEWISE_CHECK(cudaGetDeviceCount(&devices));
  PIECEWISE_CHECK(cudaSetDevice(rank % devices));
  if (options.threads) ReachPeers(rank % devices, std::min(devices, options.world));
  Rank life(options, rank, rendezvous);
  life.WarmUp();
  life.Capture();
  life.Serve();
  life.Publish();
}

}  // namespace piecewise
