#include "tests/unit/kernels/rank_group.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "kernels/epoch.cuh"
#include "kernels/protocol.cuh"
#include "tests/device_sim/sim_kernel.h"
#include "tests/unit/kernels/rank_threads.h"

namespace lamplight::kernels {
namespace {

using Clock = std::chrono::steady_clock;

class Context final : public device_sim::KernelContext {
 public:
  Context(const LaunchPlan& plan, std::string symbol, Clock::time_point deadline)
      : plan_(plan), symbol_(std::move(symbol)), deadline_(deadline) {}

  std::string_view symbol() const override { return symbol_; }
  device_sim::Dim3 grid() const override { return {plan_.grid_x, plan_.grid_y, 1}; }
  device_sim::Dim3 block() const override { return {plan_.block, 1, 1}; }
  unsigned cluster_size() const override { return plan_.cluster; }
  unsigned shared_bytes() const override { return plan_.shared_bytes; }
  uint64_t global_timer_ns() const override {
    return static_cast<uint64_t>(Clock::now().time_since_epoch().count());
  }
  void Relax() override {
    if (Clock::now() > deadline_) throw std::runtime_error(symbol_ + " hangs");
    // More ranks than cores: who waits must not keep the others from running. To yield is not
    // enough: beside other busy processes, that costs each time what those take.
    if (++relaxed_ % kLooks == 0) std::this_thread::sleep_for(std::chrono::microseconds(10));
  }

 private:
  static constexpr uint32_t kLooks = 16;

  uint32_t relaxed_ = 0;
  LaunchPlan plan_;
  std::string symbol_;
  Clock::time_point deadline_;
};

}  // namespace

Memory::Memory(size_t bytes) : chunks_((bytes + 15) / 16 + 2 * kGuardChunks) {
  std::fill_n(chunks_.begin(), kGuardChunks, kGuard);
  std::fill_n(chunks_.rbegin(), kGuardChunks, kGuard);
}

void Memory::Fill(uint32_t word) { std::fill_n(As<uint32_t>(), bytes() / sizeof(uint32_t), word); }

bool Memory::GuardsIntact() const {
  const auto intact = [](const Chunk& chunk) { return chunk == kGuard; };
  return std::all_of(chunks_.begin(), chunks_.begin() + kGuardChunks, intact) &&
         std::all_of(chunks_.rbegin(), chunks_.rbegin() + kGuardChunks, intact);
}

Tensors::Tensors(const Work& work)
    : input(work.bytes()),
      residual(work.bytes()),
      gamma(uint64_t{work.hidden} * BytesOf(work.data_type)),
      output(work.bytes()),
      prenorm(work.bytes()),
      quantised(work.elements()),
      // Swizzled scales come in tiles of 128 rows by 4 groups of 16.
      scales((uint64_t{work.tokens} + 127) / 128 * 128 * (work.hidden / 64 + 1) * 4) {}

bool Tensors::GuardsIntact() const {
  for (const Memory* memory : {&input, &residual, &gamma, &output, &prenorm, &quantised, &scales}) {
    if (!memory->GuardsIntact()) return false;
  }
  return true;
}

uint64_t EpochTag(const GroupShape& shape, const Work& work, uint64_t number) {
  CollectiveCall call{};
  call.tokens = work.tokens;
  call.hidden = work.hidden;
  call.world = shape.world;
  call.data_type = work.data_type;
  return TagOf(number, ShapeOf(call, work.kernel));
}

uint32_t SentinelOf(const GroupShape& shape) {
  const bool halves = shape.protocol == Protocol::kUnicast && shape.data_type != DataType::kFp32;
  return halves ? protocol::kHalfSentinels : protocol::kSentinel;
}

RankGroup::RankGroup(const GroupShape& shape) : shape_(shape), diagnostics_(shape.world) {
  const uint64_t generations = shape.protocol == Protocol::kEpoch ? 2 : 3;
  const uint64_t data = generations * shape.generation_bytes;
  if (shape.headers) header_offset_ = (data + 127) / 128 * 128;
  for (uint32_t rank = 0; rank < shape.world; ++rank) {
    buffers_.emplace_back(data + 128 + shape.world * sizeof(Header));
    // Kernels of the field on the simulated device keep words of their own behind the flags.
    states_.emplace_back(64);
    sizes_.emplace_back(sizeof(protocol::UnicastSizes));
    Arm(rank);
  }
  for (uint32_t rank = 0; rank < shape.world; ++rank) {
    for (Memory& buffer : buffers_) table_.push_back(buffer.As());
    table_.push_back(states_[rank].As());
    // Elsewhere there is no such entry: whoever follows it is found out.
    table_.push_back(shape.sizes_apart ? sizes_[rank].As() : nullptr);
  }
}

bool RankGroup::GuardsIntact() const {
  const auto intact = [](const Memory& memory) { return memory.GuardsIntact(); };
  return std::all_of(buffers_.begin(), buffers_.end(), intact) &&
         std::all_of(states_.begin(), states_.end(), intact) &&
         std::all_of(sizes_.begin(), sizes_.end(), intact);
}

void RankGroup::Arm(uint32_t rank) {
  uint32_t* words = state(rank);
  const auto bytes = static_cast<uint32_t>(shape_.generation_bytes);
  if (shape_.protocol == Protocol::kMnnvl) {
    words[protocol::kDirtyIndex] = 2;
    words[protocol::kBytesPerBuffer] = bytes;
    buffers_[rank].Fill(SentinelOf(shape_));
  } else if (IsUnicast(shape_.protocol)) {
    words[protocol::kUnicastGenerationBytes] = shape_.sizes_apart ? kForeign : bytes;
    if (shape_.sizes_apart) words[protocol::kUnicastClearElements] = kForeign;
    sizes(rank).generation_bytes = shape_.generation_bytes;
    buffers_[rank].Fill(SentinelOf(shape_));
  }
}

CollectiveCall RankGroup::CallOf(uint32_t rank, const Work& work, Tensors& tensors) {
  CollectiveCall call{};
  call.input = tensors.input.As();
  call.residual_in = work.norm ? tensors.residual.As() : nullptr;
  call.gamma = work.norm ? tensors.gamma.As() : nullptr;
  call.output = tensors.output.As();
  call.residual_out = work.norm ? tensors.prenorm.As() : nullptr;
  call.quant_output = tensors.quantised.As();
  call.scale_output = tensors.scales.As();
  call.output_scale = &tensors.output_scale;
  call.state = state(rank);
  call.local = buffers_[rank].As();
  for (uint32_t peer = 0; peer < shape_.world && peer < kInlinePeers; ++peer) {
    call.peer[peer] = buffers_[peer].As();
  }
  if (IsUnicast(shape_.protocol) || shape_.world > kInlinePeers) {
    call.peer_table = table(rank);
  }
  if (!multicast.empty()) call.multicast = multicast[rank];
  if (peers_are_null) {
    std::fill(std::begin(call.peer), std::end(call.peer), nullptr);
    call.peer_table = nullptr;
  }
  if (shape_.protocol == Protocol::kEpoch) call.generation_bytes = shape_.generation_bytes;
  call.header_offset = IsUnicast(shape_.protocol) ? 0 : header_offset_;
  call.timeout_ns = rank == patient_rank ? 0 : timeout_ns;
  if (rank == 0) call.journal.tickets_or_mark = reinterpret_cast<uint64_t>(mark);
  call.diagnostic = &diagnostics_[rank];
  call.tokens = work.tokens;
  call.hidden = work.hidden;
  call.world = shape_.world;
  call.rank = rank;
  call.epsilon = work.epsilon;
  call.weight_bias = work.weight_bias;
  call.data_type = work.data_type;
  call.quantisation = work.quantisation;
  call.scale_layout = work.scale_layout;
  call.options = (work.norm ? kNorm : 0) | (shape_.sizes_apart ? kSizesApart : 0);
  return call;
}

void RankGroup::Launch(const CollectiveCall& call, const Work& work) {
  KernelId id = IdFor(work.kernel, shape_.protocol, work.data_type, shape_.world);
  LaunchPlan plan;
  if (!PlanLaunch(id, call, limits, &plan)) throw std::runtime_error("the row is too long");
  id.form = plan.form;
  CollectiveCall with_plan = call;
  SetPlan(plan, &with_plan);
  with_plan.pace_ns *= slowness;
  LaunchSymbol(SymbolOf(id), plan, &with_plan);
}

void RankGroup::LaunchSymbol(const std::string& symbol, const LaunchPlan& plan,
                             const void* parameters) {
  const device_sim::KernelEntry* entry = device_sim::FindKernel(symbol);
  if (entry == nullptr) throw std::runtime_error("no kernel " + symbol);
  Context context(plan, symbol, Clock::now() + deadline);
  entry->body(context, static_cast<const std::byte*>(parameters));
}

void RankGroup::Do(uint32_t rank, const Work& work, Tensors& tensors) {
  Do(CallOf(rank, work, tensors), work);
}

void RankGroup::Do(const CollectiveCall& call, const Work& work) {
  if (work.kernel != Kernel::kTwoShotSends) return Launch(call, work);
  CollectiveCall sends = call;
  if (!work.norm) {
    sends.options = kAwaitSums;
    return Launch(sends, work);
  }
  sends.options = 0;
  sends.output = nullptr;
  Launch(sends, work);
  Work norm = work;
  norm.kernel = Kernel::kTwoShotNorm;
  Launch(call, norm);
}

void RankGroup::Together(const std::function<void(uint32_t)>& rank_does) {
  std::mutex mutex;
  std::exception_ptr failure;
  RunOnRankThreads(shape_.world, [&](uint32_t rank) {
    try {
      rank_does(rank);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (failure == nullptr) failure = std::current_exception();
    }
  });
  if (failure != nullptr) std::rethrow_exception(failure);
}

void RankGroup::DoAll(const Work& work, std::vector<Tensors>& tensors) {
  Together([&](uint32_t rank) { Do(rank, work, tensors[rank]); });
}

}  // namespace lamplight::kernels
