#include "tests/gpu/kernels/batch.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "tests/gpu/kernels/check.h"
#include "tests/gpu/kernels/judge.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr size_t kLaunchesOfAStep = 4;

// A slab of a rank's memory as the host sees it: tensors are put into it or taken out of it by
// their offsets.
class Image {
 public:
  Image(uint64_t begin, uint64_t end) : begin_(begin), bytes_(end - begin, kUntouched) {}

  unsigned char* bytes() { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }
  void Put(uint64_t offset, const void* from, uint64_t count) {
    if (offset != Placement::kNowhere) std::memcpy(&bytes_[offset - begin_], from, count);
  }
  // Leaves kUntouched behind, so that in the end only guards are left, or what was hit beside them.
  void Take(uint64_t offset, Memory* to, uint64_t count) {
    if (offset == Placement::kNowhere) return;
    std::memcpy(to->As(), &bytes_[offset - begin_], count);
    std::memset(&bytes_[offset - begin_], kUntouched, count);
  }
  bool Untouched() const {
    return std::all_of(bytes_.begin(), bytes_.end(), [](auto byte) { return byte == kUntouched; });
  }

 private:
  const uint64_t begin_;
  std::vector<unsigned char> bytes_;
};

}  // namespace

bool Batch::Add(const Job& job, std::vector<Tensors> tensors) {
  const Placement at = Place(job, end_);
  if (at.end > group_->memory_bytes()) return false;
  Entry& entry = entries_.emplace_back(Entry{job, at, std::move(tensors)});
  for (uint32_t rank = 0; rank < group_->world(); ++rank) Upload(entry, rank);
  end_ = at.end;
  return true;
}

void Batch::Upload(const Entry& entry, uint32_t rank) const {
  const Placement& at = entry.at;
  const Tensors& from = entry.tensors[rank];
  Image image(at.begin, at.end);
  const bool over_input = at.overwritten != Placement::kNowhere && at.input == at.overwritten;
  image.Put(over_input ? at.source : at.input, from.input.As(), entry.job.work.bytes());
  const bool over_residual = at.overwritten != Placement::kNowhere && !over_input;
  image.Put(over_residual ? at.source : at.residual, from.residual.As(), entry.job.work.bytes());
  image.Put(at.gamma, from.gamma.As(),
            uint64_t{entry.job.work.hidden} * BytesOf(entry.job.work.data_type));
  image.Put(at.output_scale, &from.output_scale, sizeof(float));
  group_->Enter(rank);
  Check(cudaMemcpy(group_->memory(rank) + at.begin, image.bytes(), image.size(),
                   cudaMemcpyHostToDevice),
        "cudaMemcpy of inputs");
  // The ranks' streams do not wait for the default stream's copies.
  Check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

void Batch::Launch(uint32_t rank, size_t index) const {
  const Entry& entry = entries_[index];
  char* memory = group_->memory(rank);
  const lamplight_call call = CallOf(entry.job, entry.at, memory);
  if (entry.at.overwritten != Placement::kNowhere) {
    Check(cudaMemcpyAsync(memory + entry.at.overwritten, memory + entry.at.source,
                          entry.job.work.bytes(), cudaMemcpyDeviceToDevice, group_->stream(rank)),
          "cudaMemcpyAsync of what is overwritten");
  }
  Check(lamplight_all_reduce(group_->workspace(rank), &call, group_->stream(rank)),
        Describe(entry.job));
}

void Batch::LaunchAll() {
  group_->Together([&](uint32_t rank) {
    for (size_t i = 0; i < size(); ++i) {
      Launch(rank, i);
      if (i % kLaunchesOfAStep == kLaunchesOfAStep - 1) group_->pace(rank).Step();
    }
    Check(cudaStreamSynchronize(group_->stream(rank)), "cudaStreamSynchronize");
  });
}

void Batch::Download(Entry* entry, uint32_t rank, Tally* tally) const {
  const Placement& at = entry->at;
  Tensors& to = entry->tensors[rank];
  Image image(at.outputs, at.end);
  group_->Enter(rank);
  Check(cudaMemcpy(image.bytes(), group_->memory(rank) + at.outputs, image.size(),
                   cudaMemcpyDeviceToHost),
        "cudaMemcpy of outputs");
  image.Take(at.output, &to.output, entry->job.work.bytes());
  image.Take(at.prenorm, &to.prenorm, entry->job.work.bytes());
  image.Take(at.quantised, &to.quantised, QuantisedBytes(entry->job.work));
  image.Take(at.scales, &to.scales, ScaleBytes(entry->job.work));
  if (!image.Untouched()) tally->Wrong(Describe(entry->job) + ": wrote outside of its outputs");
}

void Batch::Judge(Tally* tally) {
  for (Entry& entry : entries_) {
    for (uint32_t rank = 0; rank < group_->world(); ++rank) Download(&entry, rank, tally);
  }
  // The reference is slow: every core takes the next job.
  std::vector<Tally> tallies(entries_.size());
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < entries_.size(); at = next++) {
        group_->watchdog().Beat("comparison of " + Describe(entries_[at].job));
        gpu::Judge(entries_[at].job, entries_[at].tensors, &tallies[at]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Tally& one : tallies) tally->Add(one);
}

void Batch::Clear() {
  entries_.clear();
  end_ = 0;
}

}  // namespace lamplight::kernels::gpu
