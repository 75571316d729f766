// What recording costs the server's threads: one event, one definition; and what the drain can
// take.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "shim/recorder/crc32c.h"
#include "shim/recorder/recorder.h"

namespace lamplight::shim {
namespace {

using trace::RecordType;

std::string MakeFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "recorder_bench_XXXXXX").string();
  return mkdtemp(name.data());
}

// A running recorder in a folder of its own, removed at the end.
class Recording {
 public:
  Recording() {
    RecorderOptions options;
    options.directory = folder_;
    std::string error;
    recorder_ = Recorder::Open(options, &error);
    if (recorder_ == nullptr || !recorder_->Start(&error)) error_ = error;
  }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording() {
    recorder_ = nullptr;
    std::filesystem::remove_all(folder_);
  }

  Recorder* operator->() { return recorder_.get(); }
  const std::string& error() const { return error_; }

 private:
  const std::string folder_ = MakeFolder();
  std::unique_ptr<Recorder> recorder_;
  std::string error_;
};

void BM_NowNs(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Recorder::NowNs());
}
BENCHMARK(BM_NowNs);

// The lap's slots are emptied outside the measured time, so that no push finds the ring full.
void BM_Push(benchmark::State& state) {
  constexpr uint32_t kSlots = 1u << 16;
  StagingRing ring;
  std::string error;
  if (!ring.Allocate(kSlots, &error)) return state.SkipWithError(error.c_str());
  trace::GraphLaunch launch{};
  unsigned char out[StagingRing::kMaxRecordBytes];
  uint32_t room = kSlots;
  for (auto _ : state) {
    benchmark::DoNotOptimize(ring.Push(&launch, sizeof(launch)));
    if (--room > 0) continue;
    state.PauseTiming();
    while (ring.Pop(out)) ++room;
    state.ResumeTiming();
  }
  state.counters["dropped"] = static_cast<double>(ring.dropped());
}
BENCHMARK(BM_Push);

// With time, thread id and the drain running beside it. Drops are counted, not hidden.
void BM_Emit(benchmark::State& state) {
  Recording recording;
  if (!recording.error().empty()) return state.SkipWithError(recording.error().c_str());
  for (auto _ : state) {
    trace::GraphLaunch launch{};
    recording->Emit(RecordType::kGraphLaunch, launch);
  }
  const auto dropped = static_cast<double>(recording->dropped_events());
  state.counters["dropped"] = benchmark::Counter(dropped / static_cast<double>(state.iterations()));
}
BENCHMARK(BM_Emit);

// At a rate that the drain keeps up with: a batch, then a pause of two periods.
void BM_EmitInBursts(benchmark::State& state) {
  Recording recording;
  if (!recording.error().empty()) return state.SkipWithError(recording.error().c_str());
  constexpr int kBurst = 1000;
  int left = kBurst;
  for (auto _ : state) {
    trace::GraphLaunch launch{};
    recording->Emit(RecordType::kGraphLaunch, launch);
    if (--left > 0) continue;
    state.PauseTiming();
    const timespec pause{0, 10'000'000};
    nanosleep(&pause, nullptr);
    left = kBurst;
    state.ResumeTiming();
  }
  state.counters["dropped"] = static_cast<double>(recording->dropped_events());
}
BENCHMARK(BM_EmitInBursts)->Iterations(100'000);

void BM_Define(benchmark::State& state) {
  Recording recording;
  if (!recording.error().empty()) return state.SkipWithError(recording.error().c_str());
  for (auto _ : state) {
    trace::Edge edge{};
    recording->Define(RecordType::kEdge, edge);
  }
}
BENCHMARK(BM_Define)->Iterations(100'000);

// One event's way from the staging ring into the file, on the drain thread.
void BM_DrainOneEvent(benchmark::State& state) {
  constexpr uint64_t kRingBytes = 1 << 20;
  auto header = std::make_unique<trace::FileHeader>();
  header->ring_bytes = kRingBytes;
  auto bytes = std::make_unique<uint64_t[]>(kRingBytes / sizeof(uint64_t));
  EventRing ring(header.get(), reinterpret_cast<unsigned char*>(bytes.get()));
  trace::GraphLaunch launch{};
  launch.header.bytes = sizeof(launch);
  for (auto _ : state) benchmark::DoNotOptimize(ring.Write(&launch.header));
}
BENCHMARK(BM_DrainOneEvent);

void BM_Crc32c(benchmark::State& state) {
  const trace::GraphLaunch launch{};
  for (auto _ : state) benchmark::DoNotOptimize(Crc32c(&launch, sizeof(launch)));
}
BENCHMARK(BM_Crc32c);

void BM_Crc32cSoftware(benchmark::State& state) {
  const trace::GraphLaunch launch{};
  for (auto _ : state) benchmark::DoNotOptimize(Crc32cSoftware(&launch, sizeof(launch)));
}
BENCHMARK(BM_Crc32cSoftware);

}  // namespace
}  // namespace lamplight::shim

BENCHMARK_MAIN();
