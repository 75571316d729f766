// Outputs in the place of inputs, by ranks that run apart: over protocols, kernels and forms.
#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/reference.h"
#include "tests/unit/kernels/routes.h"

namespace lamplight::kernels {
namespace {

// `written` is stored over `read`.
struct Reuse {
  const char* name;
  bool norm;
  Memory Tensors::*written;
  Memory Tensors::*read;
};
constexpr Reuse kReuses[] = {
    {"sums_over_input", false, &Tensors::output, &Tensors::input},
    {"norm_over_input", true, &Tensors::output, &Tensors::input},
    {"residual_sum_over_input", true, &Tensors::prenorm, &Tensors::input},
    {"residual_sum_over_residual", true, &Tensors::prenorm, &Tensors::residual},
    {"norm_over_residual", true, &Tensors::output, &Tensors::residual},
};

void PutInPlace(const Reuse& reuse, Tensors* tensors, CollectiveCall* call) {
  char* memory = (tensors->*reuse.read).As();
  (reuse.written == &Tensors::output ? call->output : call->residual_out) = memory;
}

// Few rows, and more than the device holds clusters.
constexpr uint32_t kTokens[] = {3, 40};
constexpr DeviceLimits kDevice = {1, 9};
constexpr uint32_t kHidden = 512;
constexpr uint32_t kSlowness = 300'000;  // of senders: some 0.5 ms for each row

class InPlace : public testing::TestWithParam<Route> {
 protected:
  // Rank 1 is late, so that it finds every row of the others here at once. `places`: the rank works
  // in place.
  template <class Places>
  void Check(uint32_t world, const Reuse& reuse, const Work& work, const Places& places) {
    SCOPED_TRACE(std::string(reuse.name) + " world " + std::to_string(world) + " tokens " +
                 std::to_string(work.tokens));
    RankGroup group(ShapeFor(GetParam(), world, work));
    group.limits = kDevice;
    group.slowness = kSlowness;
    const std::vector<Tensors> before = RandomTensors(world, work, work.tokens);
    std::vector<Tensors> tensors = before;
    group.Together([&](uint32_t rank) {
      CollectiveCall call = group.CallOf(rank, work, tensors[rank]);
      if (places(rank)) PutInPlace(reuse, &tensors[rank], &call);
      if (rank == 1) std::this_thread::sleep_for(std::chrono::milliseconds(25));
      group.Do(call, work);
    });
    std::vector<Tensors> results = before;
    for (uint32_t rank = 0; rank < world; ++rank) {
      ASSERT_EQ(group.diagnostic(rank).trouble, 0u);
      ASSERT_TRUE(tensors[rank].GuardsIntact());
      results[rank].output = tensors[rank].output;
      results[rank].prenorm = tensors[rank].prenorm;
      if (places(rank)) results[rank].*reuse.written = tensors[rank].*reuse.read;
    }
    ExpectExact(results, work);
    if (work.norm) ExpectRight(results, work);
  }

  Work WorkOf(const Reuse& reuse, uint32_t tokens) const {
    return {.kernel = GetParam().kernel, .tokens = tokens, .hidden = kHidden, .norm = reuse.norm};
  }
};

TEST_P(InPlace, GivesWhatItGivesElsewhere) {
  for (const Reuse& reuse : kReuses) {
    for (const uint32_t tokens : kTokens) {
      for (const uint32_t world : {2u, 4u}) {
        Check(world, reuse, WorkOf(reuse, tokens), [](uint32_t) { return true; });
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Then ranks launch different forms of the same kernel.
TEST_P(InPlace, IsEachRanksOwnChoice) {
  for (const Reuse& reuse : {kReuses[0], kReuses[2]}) {
    for (const uint32_t in_place : {0u, 1u}) {
      Check(2, reuse, WorkOf(reuse, kTokens[1]), [&](uint32_t rank) { return rank == in_place; });
      if (HasFatalFailure()) return;
    }
  }
}

// As rows do that are quantised.
TEST_P(InPlace, TakesGeneralKernels) {
  Work work = WorkOf(kReuses[1], kTokens[1]);
  work.quantisation = Quantisation::kFp8;
  for (const Reuse& reuse : {kReuses[1], kReuses[2]}) {
    Check(2, reuse, work, [](uint32_t) { return true; });
  }
}

INSTANTIATE_TEST_SUITE_P(Routes, InPlace, testing::ValuesIn(kRoutes),
                         [](const auto& param) { return NameOf(param.param); });

}  // namespace
}  // namespace lamplight::kernels
