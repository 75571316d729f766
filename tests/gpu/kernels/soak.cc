// `soak`: graphs of random buckets replayed in random order, mixed with eager calls, every output
// of every replay compared on the device with bits that were checked against the reference once.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "tests/gpu/kernels/batch.h"
#include "tests/gpu/kernels/check.h"
#include "tests/gpu/kernels/compare.h"
#include "tests/gpu/kernels/graph.h"
#include "tests/gpu/kernels/random_jobs.h"
#include "tests/gpu/kernels/suite.h"

namespace lamplight::kernels::gpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kMebi = 1 << 20;
constexpr uint32_t kMostBuckets = 64;
// Neither a multiple of two nor of three generations: what a replay finds in the workspace from the
// one before comes from another layer, with other inputs, so that stale data are wrong data.
constexpr uint32_t kLayers = 5;
constexpr uint32_t kEagerOneIn = 16;

struct Shape {
  uint32_t buckets;
  uint64_t max_elements;
  uint64_t generation_bytes;
  uint64_t memory_bytes;
  uint64_t chunk;  // replays between two looks at the clock
};

Shape ShapeFor(bool quick) {
  if (quick) return {3, 2048, kMebi / 4, 2 * kMebi, 16};
  return {24, 32 * 1024, 8 * kMebi, 128 * kMebi, 8192};
}

class Soak {
 public:
  Soak(SuiteRun* run, Protocol protocol)
      : run_(run),
        sizes_(ShapeFor(run->settings.quick)),
        group_({.world = run->settings.ranks,
                .protocol = protocol,
                .generation_bytes = sizes_.generation_bytes,
                .memory_bytes = sizes_.memory_bytes,
                .in_flight = run->settings.in_flight},
               &run->watchdog),
        batch_(&group_),
        random_(run->settings.seed),
        expected_(group_.world()),
        graphs_(group_.world()) {}
  ~Soak() {
    for (const Mine& mine : expected_) {
      cudaFree(mine.words);
      cudaFree(mine.wrong);
    }
  }

  void Run(uint64_t replays, double seconds);

 private:
  // A rank's expected words, laid out as its memory is, and its counts of wrong words.
  struct Mine {
    uint32_t* words = nullptr;
    unsigned long long* wrong = nullptr;
  };

  void AddBuckets();
  void KeepExpected();
  void CaptureAll();
  void LaunchBucket(uint32_t rank, uint32_t bucket) const;
  void ReplaySome(uint32_t rank, uint64_t replays, uint32_t seed) const;
  void CountWrong();

  SuiteRun* const run_;
  const Shape sizes_;
  Group group_;
  Batch batch_;
  std::mt19937 random_;
  std::vector<size_t> buckets_;  // the first job of each; kLayers jobs of one shape
  std::vector<Mine> expected_;
  std::vector<std::vector<Graph>> graphs_;
};

void Soak::AddBuckets() {
  for (uint32_t i = 0; i < sizes_.buckets; ++i) {
    const size_t first = batch_.size();
    Job job = RandomJob(group_, sizes_.max_elements, &random_);
    job.pdl = i % 4 != 3;
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      if (!batch_.Add(job, InputsFor(job, group_.world(), random_()))) {
        throw std::runtime_error("the memory for tensors is too small for the buckets");
      }
    }
    buckets_.push_back(first);
  }
}

// Runs every job once, has it judged, and keeps what it left.
void Soak::KeepExpected() {
  batch_.LaunchAll();
  batch_.Judge(&run_->tally);
  for (uint32_t rank = 0; rank < group_.world(); ++rank) {
    Mine& mine = expected_[rank];
    group_.Enter(rank);
    Check(cudaMalloc(reinterpret_cast<void**>(&mine.words), batch_.end()), "cudaMalloc");
    Check(cudaMemcpy(mine.words, group_.memory(rank), batch_.end(), cudaMemcpyDeviceToDevice),
          "cudaMemcpy of expected words");
    const size_t bytes = kMostBuckets * sizeof *mine.wrong;
    Check(cudaMalloc(reinterpret_cast<void**>(&mine.wrong), bytes), "cudaMalloc");
    Check(cudaMemset(mine.wrong, 0, bytes), "cudaMemset");
    Check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
}

void Soak::LaunchBucket(uint32_t rank, uint32_t bucket) const {
  const size_t first = buckets_[bucket];
  for (size_t job = first; job < first + kLayers; ++job) batch_.Launch(rank, job);
  for (size_t job = first; job < first + kLayers; ++job) {
    const Placement& at = batch_.placement(job);
    CompareAndWipe(reinterpret_cast<uint32_t*>(group_.memory(rank) + at.outputs),
                   expected_[rank].words + at.outputs / sizeof(uint32_t),
                   (at.end - at.outputs) / sizeof(uint32_t), expected_[rank].wrong + bucket,
                   group_.stream(rank));
  }
}

void Soak::CaptureAll() {
  for (uint32_t rank = 0; rank < group_.world(); ++rank) {
    group_.Enter(rank);
    for (uint32_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      graphs_[rank].emplace_back(group_.stream(rank), [&] { LaunchBucket(rank, bucket); });
    }
  }
}

// All ranks draw the same numbers.
void Soak::ReplaySome(uint32_t rank, uint64_t replays, uint32_t seed) const {
  std::mt19937 random(seed);
  for (uint64_t i = 0; i < replays; ++i) {
    const auto bucket = static_cast<uint32_t>(random() % buckets_.size());
    if (random() % kEagerOneIn == 0) {
      LaunchBucket(rank, static_cast<uint32_t>(random() % buckets_.size()));
      group_.pace(rank).Step();
    }
    graphs_[rank][bucket].Launch(group_.stream(rank));
    group_.pace(rank).Step();
  }
  Check(cudaStreamSynchronize(group_.stream(rank)), "replays");
}

void Soak::CountWrong() {
  for (uint32_t rank = 0; rank < group_.world(); ++rank) {
    unsigned long long wrong[kMostBuckets];
    group_.Enter(rank);
    Check(cudaMemcpy(wrong, expected_[rank].wrong, sizeof wrong, cudaMemcpyDeviceToHost),
          "cudaMemcpy of counts");
    for (uint32_t bucket = 0; bucket < buckets_.size(); ++bucket) {
      if (wrong[bucket] == 0) continue;
      run_->tally.Wrong("rank " + std::to_string(rank) + ": " + std::to_string(wrong[bucket]) +
                        " wrong words in bucket " + Describe(batch_.job(buckets_[bucket])));
    }
  }
}

void Soak::Run(uint64_t replays, double seconds) {
  AddBuckets();
  KeepExpected();
  CaptureAll();
  const Clock::time_point begin = Clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  uint64_t done = 0;
  while (done < replays && passed() < seconds) {
    const uint64_t now = std::min(sizes_.chunk, replays - done);
    const auto seed = static_cast<uint32_t>(random_());
    run_->watchdog.Beat("replay " + std::to_string(done));
    group_.Together([&](uint32_t rank) { ReplaySome(rank, now, seed); });
    done += now;
    std::fprintf(stderr, "soak: %llu of %llu replays in %.0f s\n",
                 static_cast<unsigned long long>(done), static_cast<unsigned long long>(replays),
                 passed());
  }
  CountWrong();
  CountTroubles(group_, run_);
  run_->counts["replays"] += done;
  run_->counts["replays_wanted"] += replays;
  run_->counts["collectives_replayed"] += done * kLayers;
}

}  // namespace

// Half of the replays with each protocol.
void RunSoak(SuiteRun* run) {
  for (const Protocol protocol : kProtocols) {
    Soak(run, protocol).Run(run->settings.replays / 2, run->settings.seconds / 2.0);
  }
}

}  // namespace lamplight::kernels::gpu
