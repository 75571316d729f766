// Flag words, stages and rows. See lamport.h.
#include "lamport.h"

#include <algorithm>
#include <cmath>

#include "bf16.h"

namespace device_sim {
namespace {

namespace protocol = lamplight::protocol;

// Behind the protocol's nine words; tests/servers/collective.h has the same two.
constexpr uint32_t kLosePeriod = 12;
constexpr uint32_t kCalls = 13;

constexpr size_t kPacketWords = 4;

uint16_t Low(uint32_t word) { return static_cast<uint16_t>(word); }
uint16_t High(uint32_t word) { return static_cast<uint16_t>(word >> 16); }
uint32_t Join(uint16_t low, uint16_t high) { return low | static_cast<uint32_t>(high) << 16; }

// The flag that makes a compare flush subnormals makes sums flush them too.
float Add(float sum, uint16_t element, bool flush) {
  const auto flushed = [flush](float value) {
    return flush && std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0f, value) : value;
  };
  return flushed(sum + flushed(FromBf16(element)));
}

}  // namespace

uint32_t Blocks(const KernelContext& context) {
  return context.grid().x * context.grid().y * context.grid().z;
}

uint32_t Clusters(const KernelContext& context) { return Blocks(context) / context.cluster_size(); }

Lamport::Lamport(KernelContext& context, uint32_t* flags, uint32_t stages)
    : context_(context),
      flags_(flags),
      stages_(stages),
      entry_(LoadWord(flags + protocol::kCurrentIndex)),
      generation_(entry_),
      dirty_(LoadWord(flags + protocol::kDirtyIndex)),
      bytes_(LoadWord(flags + protocol::kBytesPerBuffer)),
      dirty_stages_(LoadWord(flags + protocol::kDirtyStages)) {}

uint32_t* Lamport::Stage(uint32_t* base, uint32_t stage) const {
  return base + protocol::StageOffset(generation_, stage, stages_, bytes_) / sizeof(uint32_t);
}

void Lamport::Clear(uint32_t* local, uint32_t stage) const {
  if (stage >= std::min(dirty_stages_, protocol::kMaxStages)) return;
  uint32_t* target =
      local + protocol::StageOffset(dirty_, stage, dirty_stages_, bytes_) / sizeof(uint32_t);
  const size_t words = LoadWord(flags_ + protocol::kClearBytes0 + stage) / sizeof(uint32_t);
  for (size_t i = 0; i < words; ++i) StoreWord(target + i, protocol::kSentinel);
}

void Lamport::ClearAll(uint32_t* local) const {
  for (uint32_t stage = 0; stage < dirty_stages_; ++stage) Clear(local, stage);
}

void Lamport::Arrive(uint32_t arrivals) const {
  std::atomic_ref<uint32_t>(flags_[protocol::kArrivals]).fetch_add(arrivals);
}

bool Lamport::LosesUpdate() const {
  const uint32_t period = flags_[kLosePeriod];
  if (period == 0) return false;
  const uint32_t calls = ++flags_[kCalls];
  return calls % period == 0;
}

void Lamport::Update(uint32_t target, uint32_t clear0, uint32_t clear1) const {
  while (LoadWord(flags_ + protocol::kArrivals) < target) context_.Relax();
  if (!LosesUpdate()) {
    StoreWord(flags_ + protocol::kCurrentIndex, protocol::NextIndex(entry_));
    StoreWord(flags_ + protocol::kDirtyIndex, entry_);
    StoreWord(flags_ + protocol::kDirtyStages, stages_);
    StoreWord(flags_ + protocol::kClearBytes0, clear0);
    StoreWord(flags_ + protocol::kClearBytes0 + 1, clear1);
    StoreWord(flags_ + protocol::kClearBytes0 + 2, 0);
    StoreWord(flags_ + protocol::kClearBytes0 + 3, 0);
  }
  StoreWord(flags_ + protocol::kArrivals, 0);
}

uint32_t Lamport::Await(const uint32_t* word, protocol::Compare compare) const {
  for (;;) {
    const uint32_t value = LoadWord(word);
    if (protocol::LooksArrived(value, compare)) return value;
    context_.Relax();
  }
}

void SendRow(uint32_t* target, const uint32_t* words, size_t count) {
  for (size_t packet = 0; packet < count; packet += kPacketWords) {
    for (size_t i = std::min(kPacketWords, count - packet); i-- > 0;) {
      StoreWord(target + packet + i, words[packet + i]);
    }
  }
}

void SendRowToAll(const Lamport& lamport, const Job& job, uint32_t stage, size_t offset,
                  const uint32_t* words) {
  if (job.multicast != nullptr) {
    SendRow(lamport.Stage(job.multicast, stage) + offset, words, job.row_words());
    return;
  }
  for (uint32_t peer = 0; peer < job.world; ++peer) {
    SendRow(lamport.Stage(job.peers[peer], stage) + offset, words, job.row_words());
  }
}

std::vector<uint32_t> SanitisedRow(const Job& job, uint32_t token) {
  std::vector<uint32_t> row(job.row_words());
  const uint16_t* source = job.shard + static_cast<size_t>(token) * job.dim;
  for (size_t i = 0; i < row.size(); ++i) {
    row[i] = Sanitised(Join(source[2 * i], source[2 * i + 1]));
  }
  return row;
}

std::vector<uint32_t> AwaitSum(const Lamport& lamport, const Job& job, const uint32_t* first,
                               protocol::Compare compare) {
  const bool flush = compare == protocol::Compare::kFlushToZero;
  std::vector<uint32_t> sums(job.row_words());
  for (size_t i = 0; i < sums.size(); ++i) {
    float low = 0;
    float high = 0;
    for (uint32_t rank = 0; rank < job.world; ++rank) {
      const uint32_t word = lamport.Await(first + rank * job.row_words() + i, compare);
      low = Add(low, Low(word), flush);
      high = Add(high, High(word), flush);
    }
    sums[i] = Join(ToBf16(low), ToBf16(high));
  }
  return sums;
}

void FinishToken(const Job& job, uint32_t token, const std::vector<uint32_t>& sum) {
  const size_t row = static_cast<size_t>(token) * job.dim;
  float squares = 0;
  for (size_t i = 0; i < job.dim; ++i) {
    const uint16_t half = i % 2 == 0 ? Low(sum[i / 2]) : High(sum[i / 2]);
    const uint16_t total = ToBf16(FromBf16(half) + FromBf16(job.residual[row + i]));
    job.prenorm[row + i] = total;
    squares += FromBf16(total) * FromBf16(total);
  }
  const float scale = 1.0f / std::sqrt(squares / static_cast<float>(job.dim) + job.epsilon);
  for (size_t i = 0; i < job.dim; ++i) {
    const float weight = FromBf16(job.gamma[i]) + job.weight_bias;
    job.out[row + i] = ToBf16(FromBf16(job.prenorm[row + i]) * scale * weight);
  }
}

}  // namespace device_sim
