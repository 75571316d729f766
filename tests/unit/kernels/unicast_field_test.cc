// Our kernels and TensorRT-LLM's unicast ones in one group of two, on one workspace: right results
// on both sides, and a state that either side can go on from, wherever the sizes are.
#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/quiet.h"
#include "tests/unit/kernels/reference.h"

namespace lamplight::kernels {
namespace {

constexpr char kFamily[] = "_ZN12tensorrt_llm3_v17kernels9ar_fusion";
constexpr uint32_t kWorld = 2;

// Their one parameter.
struct Parameters {
  int32_t ranks, rank, data_type, elements, hidden;
  void** workspace;
  const void *input, *residual_in;
  void *sums, *residual_out, *norm_out, *quant_output, *scale_output;
  const void* gamma;
  float epsilon;
  const float* scale;
  bool oneshot;
  int32_t layout;
  void* stream;
  int32_t pattern;
  bool trigger_at_end;
};
static_assert(sizeof(Parameters) == 136 && offsetof(Parameters, pattern) == 128);

struct Workspace {
  const char* name;
  bool sizes_apart;
  DataType data_type;
};
constexpr Workspace kWorkspaces[] = {
    {"bf16", false, DataType::kBf16},
    {"bf16_apart", true, DataType::kBf16},
    {"fp32", false, DataType::kFp32},
    {"fp32_apart", true, DataType::kFp32},
};

class UnicastField : public testing::TestWithParam<Workspace> {
 protected:
  UnicastField() {
    for (uint32_t rank = 0; rank < kWorld; ++rank) Arm(rank);
  }

  // With their kernel, which tells the others where the sizes are.
  void Arm(uint32_t rank) {
    struct {
      void* buffer;
      uint64_t elements;
    } parameters = {group_.buffer(rank).As(), 3 * kGenerationBytes / 4};
    LaunchPlan plan;
    plan.grid_x = plan.grid_y = plan.block = 1;
    group_.LaunchSymbol(std::string(kFamily) + "25lamport_initialize_kernelEPf" +
                            (GetParam().sizes_apart ? "m" : "i"),
                        plan, &parameters);
  }

  Work AnyWork() {
    constexpr uint32_t kHidden[] = {8, 64, 136, 256};
    Work work{.data_type = GetParam().data_type, .hidden = kHidden[random_() % 4]};
    work.tokens = 1 + static_cast<uint32_t>(random_() % 7);
    work.norm = random_() % 2 == 0;
    return work;
  }

  // Many zeros of either sign: of 16-bit types in one half of a word, or in both.
  std::vector<Tensors> Payload(const Work& work, uint32_t seed) {
    std::vector<Tensors> tensors = RandomTensors(kWorld, work, seed);
    const uint32_t negative_zero = work.data_type == DataType::kFp32 ? 0x80000000u : 0x8000u;
    for (Tensors& one : tensors) {
      for (uint64_t i = 0; i < work.elements(); ++i) {
        const uint32_t what = random_() % 8;
        if (what < 4) SetBits(&one.input, work.data_type, i, what < 3 ? negative_zero : 0);
      }
    }
    return tensors;
  }

  void Do(bool ours, uint32_t rank, const Work& work, Tensors* tensors) {
    if (ours) return group_.Do(rank, work, *tensors);
    // Lamport buffers and state come behind two tables that one-shot calls do not use.
    std::vector<void*> workspace(2 * kWorld);
    workspace.insert(workspace.end(), group_.table(rank), group_.table(rank) + kWorld + 2);
    const bool wide = work.data_type == DataType::kFp32;
    Parameters p{};
    p.ranks = kWorld;
    p.rank = static_cast<int32_t>(rank);
    p.data_type = wide ? 0 : 7;
    p.elements = static_cast<int32_t>(work.elements());
    p.hidden = static_cast<int32_t>(work.hidden);
    p.workspace = workspace.data();
    p.input = tensors->input.As();
    p.residual_in = tensors->residual.As();
    p.sums = tensors->output.As();
    p.residual_out = tensors->prenorm.As();
    p.norm_out = tensors->output.As();
    p.gamma = tensors->gamma.As();
    p.epsilon = work.epsilon;
    p.oneshot = true;
    p.pattern = work.norm ? 1 : 0;
    LaunchPlan plan;
    plan.grid_x = work.tokens;
    plan.grid_y = 1;
    plan.block = 32;
    group_.LaunchSymbol(std::string(kFamily) + "39allreduce_fusion_kernel_oneshot_lamport" +
                            "ILNS2_22AllReduceFusionPatternE" + (work.norm ? "1E" : "0E") +
                            (wide ? "f" : "13__nv_bfloat16") + "Li2E",
                        plan, &p);
  }

  // The norms' sums are added in another order there: outputs are near, not equal.
  static void Check(const std::vector<Tensors>& tensors, const Work& work) {
    ExpectExact(tensors, work);
    for (const Tensors& one : tensors) {
      std::vector<Tensors> of_one = tensors;
      for (Tensors& other : of_one) other.output = one.output;
      ExpectRight(of_one, work);
      ASSERT_TRUE(one.GuardsIntact());
    }
  }

  static constexpr uint64_t kGenerationBytes = 1 << 15;

  RankGroup group_{{.protocol = Protocol::kUnicastInWords,
                    .world = kWorld,
                    .generation_bytes = kGenerationBytes,
                    .headers = false,
                    .data_type = GetParam().data_type,
                    .sizes_apart = GetParam().sizes_apart}};
  std::mt19937 random_{13};
};

// Rank r is ours in call c by chance: a rank may be swapped at any time.
TEST_P(UnicastField, AnyRankMayBeOursInAnyCall) {
  for (uint32_t call = 0; call < 80; ++call) {
    const Work work = AnyWork();
    const uint32_t ours = random_() % (1u << kWorld);
    SCOPED_TRACE("call " + std::to_string(call) + " ours " + std::to_string(ours) + " tokens " +
                 std::to_string(work.tokens) + " hidden " + std::to_string(work.hidden));
    std::vector<Tensors> tensors = Payload(work, call);
    group_.Together(
        [&](uint32_t rank) { Do((ours >> rank & 1) != 0, rank, work, &tensors[rank]); });
    Check(tensors, work);
    ExpectQuiet(group_, call + 1, work);
    for (uint32_t rank = 0; rank < kWorld; ++rank) ASSERT_EQ(group_.diagnostic(rank).trouble, 0u);
    if (HasFatalFailure()) return;
  }
}

// Without waiting for one another between calls; rank 0 is ours.
TEST_P(UnicastField, RanksMayRunApart) {
  constexpr uint32_t kCalls = 100;
  std::vector<Work> works;
  std::vector<std::vector<Tensors>> tensors;
  for (uint32_t call = 0; call < kCalls; ++call) {
    works.push_back(AnyWork());
    tensors.push_back(Payload(works.back(), 700 + call));
  }
  group_.Together([&](uint32_t rank) {
    std::mt19937 random(rank);
    for (uint32_t call = 0; call < kCalls; ++call) {
      if (random() % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 8));
      Do(rank == 0, rank, works[call], &tensors[call][rank]);
    }
  });
  for (uint32_t call = 0; call < kCalls; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    Check(tensors[call], works[call]);
    if (HasFatalFailure()) return;
  }
  ExpectQuiet(group_, kCalls, works.back());
}

INSTANTIATE_TEST_SUITE_P(Workspaces, UnicastField, testing::ValuesIn(kWorkspaces),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace lamplight::kernels
