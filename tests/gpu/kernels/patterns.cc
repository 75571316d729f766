// `patterns`: every bf16 and fp16 bit pattern in every lane of a packet, and fp32's special values
// in pairs, to the exact bit.
#include <algorithm>
#include <iterator>

#include "tests/gpu/kernels/batch.h"
#include "tests/gpu/kernels/suite.h"
#include "tests/unit/kernels/reference.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr uint32_t kPatterns = 1u << 16;
constexpr uint32_t kQuickPatterns = 1u << 9;
constexpr uint64_t kMebi = 1 << 20;

// fp32: zeros, ones, subnormals, the smallest normal, the largest, infinities, NaNs; the sentinels
// of every protocol are among them.
constexpr uint32_t kSpecials[] = {
    0x00000000, 0x80000000, 0x3f800000, 0xbf800000, 0x00000001, 0x80000001, 0x007fffff, 0x807fffff,
    0x00800000, 0x80800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
    0x7f800001, 0xffffffff, 0x80008000, 0x80018001, 0x33800000, 0xb3800000, 0x4b7fffff, 0x7effffff};

// Elements of one packet: a unit of 16 bytes, or the 120 bytes of a line.
uint32_t Lanes(Protocol protocol, DataType type) {
  return (protocol == Protocol::kEpoch ? 120 : 16) / BytesOf(type);
}

// Checks `packets` packets of jobs in rows of whole packets; `bits(rank, packet, lane)` fills them.
class Sweep {
 public:
  Sweep(SuiteRun* run, Group* group, Protocol protocol)
      : run_(run), group_(group), protocol_(protocol), batch_(group) {}

  template <class Bits>
  void Check(DataType type, Kernel kernel, uint32_t packets, Bits bits) {
    const uint32_t lanes = Lanes(protocol_, type);
    // Rows of 8 KB, or what a quick run has.
    const uint32_t in_row = std::min(packets, 8192 / (lanes * BytesOf(type)));
    Job job{.work = {.kernel = kernel, .data_type = type, .hidden = in_row * lanes, .norm = false}};
    const uint32_t most = group_->MaxTokens(job.work);
    for (uint32_t first = 0; first < packets; first += job.work.tokens * in_row) {
      job.work.tokens = std::min(most, (packets - first + in_row - 1) / in_row);
      std::vector<Tensors> tensors = Inputs(job.work, lanes, first, bits);
      if (batch_.Add(job, tensors)) continue;
      Flush();
      batch_.Add(job, std::move(tensors));
    }
    Flush();
  }

 private:
  template <class Bits>
  std::vector<Tensors> Inputs(const Work& work, uint32_t lanes, uint32_t first, Bits bits) const {
    std::vector<Tensors> tensors;
    for (uint32_t rank = 0; rank < group_->world(); ++rank) {
      Memory& input = tensors.emplace_back(work).input;
      for (uint64_t i = 0; i < work.elements(); ++i) {
        SetBits(
            &input, work.data_type, i,
            bits(rank, first + static_cast<uint32_t>(i / lanes), static_cast<uint32_t>(i % lanes)));
      }
    }
    return tensors;
  }
  void Flush() {
    run_->watchdog.Beat("patterns");
    batch_.LaunchAll();
    batch_.Judge(&run_->tally);
    batch_.Clear();
  }

  SuiteRun* const run_;
  Group* const group_;
  const Protocol protocol_;
  Batch batch_;
};

// Packet p has another pattern in each lane, and each lane sees all of them.
uint32_t PatternOf(uint32_t packet, uint32_t lane, uint32_t count) {
  return (packet * (kPatterns / count) + lane * 4099) % kPatterns;
}

void SweepHalves(SuiteRun* run, Group* group, Sweep* sweep, DataType type, Kernel kernel) {
  const uint32_t count = run->settings.quick ? kQuickPatterns : kPatterns;
  for (const uint32_t sender : {0u, group->world() - 1}) {
    sweep->Check(type, kernel, count, [&](uint32_t rank, uint32_t packet, uint32_t lane) {
      return rank == sender ? PatternOf(packet, lane, count) : 0u;
    });
  }
  sweep->Check(type, kernel, count, [&](uint32_t rank, uint32_t packet, uint32_t lane) {
    return PatternOf(packet, lane, count) * (1 + rank * 40502) % kPatterns;
  });
  run->counts["patterns"] = count;
}

// Every pair from ranks 0 and 1 in every lane; the other ranks take turns.
void SweepSpecials(Sweep* sweep, Kernel kernel) {
  constexpr auto kCount = static_cast<uint32_t>(std::size(kSpecials));
  sweep->Check(DataType::kFp32, kernel, kCount * kCount,
               [&](uint32_t rank, uint32_t packet, uint32_t lane) {
                 const uint32_t pair = packet + lane;
                 const uint32_t which = rank == 0 ? pair : pair / kCount + (rank - 1) * pair;
                 return kSpecials[which % kCount];
               });
}

}  // namespace

void RunPatterns(SuiteRun* run) {
  for (const Protocol protocol : kProtocols) {
    Group group({.world = run->settings.ranks,
                 .protocol = protocol,
                 .generation_bytes = (run->settings.quick ? 2 : 32) * kMebi,
                 .memory_bytes = (run->settings.quick ? 2 : 64) * kMebi,
                 .in_flight = run->settings.in_flight},
                &run->watchdog);
    Sweep sweep(run, &group, protocol);
    for (const Kernel kernel : kKernels) {
      SweepHalves(run, &group, &sweep, DataType::kBf16, kernel);
      SweepHalves(run, &group, &sweep, DataType::kFp16, kernel);
      SweepSpecials(&sweep, kernel);
    }
    CountTroubles(group, run);
  }
}

}  // namespace lamplight::kernels::gpu
