// `sizes`: rows around every edge of unit, line, warp, block and cluster, tokens around the ranks
// and the capacity, in every dtype, algorithm, protocol and quantisation.
#include <algorithm>

#include "tests/gpu/kernels/batch.h"
#include "tests/gpu/kernels/check.h"
#include "tests/gpu/kernels/random_jobs.h"
#include "tests/gpu/kernels/suite.h"

namespace lamplight::kernels::gpu {
namespace {

constexpr uint64_t kMebi = 1 << 20;

// Bytes. Units of 16; lines of 120; 32 and 64 threads; blocks of 128 and 512; clusters of 2, 4 and
// 8 of these; for packets of 16 bytes and for lines, of which a thread carries 8 bytes.
constexpr uint32_t kEdges[] = {16,   128,  240,  480,   512,   960,   1024,  2048, 3840,
                               4096, 7680, 8192, 15360, 16384, 30720, 32768, 65536};
constexpr uint32_t kQuickEdges[] = {16, 240, 512};

struct Output {
  Quantisation quantisation;
  ScaleLayout layout;
};
constexpr Output kOutputs[] = {{Quantisation::kNone, {}},
                               {Quantisation::kFp8, {}},
                               {Quantisation::kFp8PerToken, {}},
                               {Quantisation::kNvfp4, ScaleLayout::kSwizzled128x4},
                               {Quantisation::kNvfp4, ScaleLayout::kLinear}};

// Adds to the batch of one group and runs it whenever the memory is full.
class Sizes {
 public:
  Sizes(SuiteRun* run, Group* group) : run_(run), group_(group), batch_(group) {}

  // As many of the tokens as can be resident.
  void Check(Job job) {
    job.work.tokens = std::min(job.work.tokens, group_->MaxTokens(job.work));
    std::vector<Tensors> tensors = InputsFor(job, group_->world(), run_->settings.seed + ++jobs_);
    batch_.AddOrFlush(job, std::move(tensors), [this] { Flush(); });
  }
  void Flush() {
    run_->watchdog.Beat("sizes");
    batch_.LaunchAll();
    batch_.Judge(&run_->tally);
    batch_.Clear();
  }
  // One token more than the workspace holds is refused on the host.
  void CheckRefused(Job job, uint32_t capacity) {
    job.work.tokens = capacity + 1;
    const lamplight_call call = CallOf(job, Place(job, 0), group_->memory(0));
    group_->Enter(0);
    const lamplight_status status =
        lamplight_all_reduce(group_->workspace(0), &call, group_->stream(0));
    if (status == LAMPLIGHT_ERROR_CAPACITY) ++run_->counts["refused"];
    if (status != LAMPLIGHT_ERROR_CAPACITY) {
      run_->tally.Wrong(Describe(job) + ": status " + std::to_string(status) + ", not CAPACITY");
    }
  }

 private:
  SuiteRun* const run_;
  Group* const group_;
  Batch batch_;
  uint32_t jobs_ = 0;
};

// Sums alone and a norm; the quantisations take turns.
void CheckRow(const SuiteRun& run, uint32_t bytes, Sizes* sizes) {
  uint32_t turn = bytes / 16;
  for (const DataType type : kEveryType) {
    for (const Kernel kernel : kKernels) {
      Job job{.work = {.kernel = kernel, .data_type = type, .hidden = bytes / BytesOf(type)}};
      job.work.tokens = run.settings.quick ? 2 : 1 + turn % (2 * run.settings.ranks + 1);
      job.work.norm = false;
      sizes->Check(job);
      const Output& output = kOutputs[turn++ % std::size(kOutputs)];
      const bool groups = job.work.hidden % 16 == 0;
      if (output.quantisation != Quantisation::kNvfp4 || groups) {
        job.work.quantisation = output.quantisation;
        job.work.scale_layout = output.layout;
      }
      job.work.norm = true;
      job.residual = turn % 3 != 0;
      sizes->Check(job);
    }
  }
}

void CheckRows(const SuiteRun& run, Sizes* sizes) {
  const auto around = [&](uint32_t edge) {
    for (const uint32_t bytes : {edge - 16, edge, edge + 16}) {
      if (bytes > 0) CheckRow(run, bytes, sizes);
    }
  };
  if (run.settings.quick) {
    for (const uint32_t edge : kQuickEdges) around(edge);
  } else {
    for (const uint32_t edge : kEdges) around(edge);
  }
}

// Every quantisation in every dtype and algorithm, with and without a norm, chosen and automatic.
void CheckOutputs(const SuiteRun& run, Sizes* sizes) {
  uint32_t turn = 0;
  for (const Output& output : kOutputs) {
    for (const DataType type : kEveryType) {
      for (const Kernel kernel : kKernels) {
        for (const bool norm : {false, true}) {
          Job job{.work = {.kernel = kernel,
                           .data_type = type,
                           .tokens = run.settings.quick ? 1u : 7u,
                           .hidden = run.settings.quick ? 80u : 2880u,
                           .norm = norm,
                           .quantisation = output.quantisation,
                           .scale_layout = output.layout,
                           .weight_bias = turn % 2 == 0 ? 1.0f : 0.0f}};
          job.automatic = turn % 5 == 0;
          job.pdl = turn++ % 3 != 0;
          sizes->Check(job);
        }
      }
    }
  }
}

// A workspace of few tokens, filled to the last.
void CheckCapacity(SuiteRun* run, const GroupOptions& options) {
  Group group(options, &run->watchdog);
  Sizes sizes(run, &group);
  for (const Kernel kernel : kKernels) {
    for (const uint32_t hidden : {64u, 1024u, 2880u}) {
      Job job{.work = {.kernel = kernel, .hidden = hidden}};
      uint32_t capacity = 0;
      gpu::Check(lamplight_workspace_capacity(group.workspace(0), hidden, LAMPLIGHT_BF16,
                                              AlgorithmOf(job), &capacity),
                 "lamplight_workspace_capacity");
      for (const uint32_t less : {2u, 1u, 0u}) {
        job.work.tokens = capacity - std::min(capacity - 1, less);
        run->counts["filled"] +=
            job.work.tokens == capacity && capacity <= group.MaxTokens(job.work);
        sizes.Check(job);
      }
      sizes.CheckRefused(job, capacity);
    }
  }
  sizes.Flush();
  CountTroubles(group, run);
}

}  // namespace

void RunSizes(SuiteRun* run) {
  for (const Protocol protocol : kProtocols) {
    GroupOptions options{.world = run->settings.ranks,
                         .protocol = protocol,
                         .generation_bytes = (run->settings.quick ? 1 : 16) * kMebi,
                         .memory_bytes = (run->settings.quick ? 4 : 256) * kMebi,
                         .in_flight = run->settings.in_flight};
    {
      Group group(options, &run->watchdog);
      Sizes sizes(run, &group);
      CheckRows(*run, &sizes);
      CheckOutputs(*run, &sizes);
      sizes.Flush();
      CountTroubles(group, run);
    }
    // Two rows of hidden 2880, 48 of 64.
    options.generation_bytes = 13056ull * run->settings.ranks;
    CheckCapacity(run, options);
  }
}

}  // namespace lamplight::kernels::gpu
