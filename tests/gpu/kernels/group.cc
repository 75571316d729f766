#include "tests/gpu/kernels/group.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <mutex>

#include "tests/gpu/kernels/check.h"
#include "tests/gpu/kernels/job.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr uint32_t kUnbounded = 4096;

// Not fewer than the library gives a row: one for 128 threads of 8 bytes, at most 8.
uint32_t BlocksOfRow(uint64_t row_bytes) {
  const uint64_t threads = row_bytes / 8 * 16 / 15 + 16;
  return static_cast<uint32_t>(std::clamp<uint64_t>(std::bit_floor(threads / 128 | 1), 1, 8));
}

}  // namespace

uint32_t CountDevices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? static_cast<uint32_t>(count) : 0;
}

uint32_t RanksFor(uint32_t devices) {
  uint32_t ranks = 2;
  while (ranks * 2 <= devices && ranks < 8) ranks *= 2;
  return ranks;
}

Group::Group(const GroupOptions& options, Watchdog* watchdog)
    : options_(options),
      watchdog_(watchdog),
      devices_(CountDevices()),
      ranks_(options.world, [&](lamplight_workspace_options* own) {
        own->device = static_cast<int32_t>(own->rank % devices_);
        own->generation_bytes = options.generation_bytes;
        own->protocol = options.protocol == Protocol::kEpoch ? LAMPLIGHT_PROTOCOL_EPOCH
                                                             : LAMPLIGHT_PROTOCOL_MNNVL;
        own->timeout_ms = options.timeout_ms;
      }) {
  MakeStreams();
  std::vector<Watched> watched;
  for (uint32_t rank = 0; rank < world(); ++rank) {
    if (ranks_[rank].status != LAMPLIGHT_OK) {
      throw std::runtime_error("rank " + std::to_string(rank) + ": " + ranks_[rank].error);
    }
    Enter(rank);
    Check(cudaMalloc(reinterpret_cast<void**>(&memory_.emplace_back()), options.memory_bytes),
          "cudaMalloc of the tensors");
    paces_.push_back(std::make_unique<Pace>(stream(rank), options.in_flight));
    watched.push_back({ranks_.workspace(rank), paces_.back().get()});
  }
  watchdog_->Watch(watched);
  int processors = 0;
  Check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0), "attribute");
  const uint32_t share = (world() + devices_ - 1) / devices_;
  blocks_ = share == 1 ? kUnbounded : static_cast<uint32_t>(processors) / share;
}

Group::~Group() {
  watchdog_->Watch({});
  for (char* memory : memory_) cudaFree(memory);
}

void Group::MakeStreams() {
  const uint32_t used = std::min(devices_, options_.world);
  for (uint32_t device = 0; device < used; ++device) {
    Enter(device);
    streams_.push_back(
        std::make_unique<MeetingStreams>((options_.world - device + used - 1) / used));
  }
}

uint32_t Group::refused_streams() const {
  uint32_t refused = 0;
  for (const auto& streams : streams_) refused += streams->refused();
  return refused;
}

void Group::Enter(uint32_t rank) const {
  Check(cudaSetDevice(static_cast<int>(rank % devices_)), "cudaSetDevice");
}

void Group::Together(const std::function<void(uint32_t)>& body) {
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::thread> threads;
  for (uint32_t rank = 0; rank < world(); ++rank) {
    threads.emplace_back([&, rank] {
      try {
        Enter(rank);
        body(rank);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (first == nullptr) first = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (first != nullptr) std::rethrow_exception(first);
}

uint32_t Group::MaxTokens(const Work& work) const {
  uint32_t fits = 0;
  const uint32_t algorithm = AlgorithmOf({.work = work});
  Check(lamplight_workspace_capacity(workspace(0), work.hidden, DtypeOf(work.data_type), algorithm,
                                     &fits),
        "lamplight_workspace_capacity");
  const uint32_t resident = blocks_ / BlocksOfRow(uint64_t{work.hidden} * BytesOf(work.data_type));
  return std::min(fits, std::max(resident, 1u));
}

std::string Group::Troubles() const {
  std::string all;
  for (uint32_t rank = 0; rank < world(); ++rank) {
    lamplight_trouble trouble{};
    trouble.struct_size = sizeof trouble;
    Check(lamplight_workspace_query(workspace(rank), &trouble), "lamplight_workspace_query");
    if (trouble.kind == LAMPLIGHT_TROUBLE_NONE) continue;
    char text[512];
    lamplight_trouble_text(&trouble, text, sizeof text);
    all += (all.empty() ? "" : "; ") + std::string(text);
  }
  return all;
}

}  // namespace lamplight::kernels::gpu
