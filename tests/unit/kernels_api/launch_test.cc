// What a good call launches: function, shape, attributes, parameters; and that captures take it.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/host/workspace.h"
#include "ranks.h"
#include "recording_kernels.h"

namespace lamplight::kernels::test {
namespace {

using Options = lamplight_workspace_options;

void* Address(size_t index) { return reinterpret_cast<void*>(0x10000000 + index * (1u << 26)); }

lamplight_call Sum(uint32_t tokens, uint32_t hidden, uint32_t dtype) {
  lamplight_call call = LAMPLIGHT_CALL_INIT;
  call.input = Address(0);
  call.output = Address(1);
  call.tokens = tokens;
  call.hidden = hidden;
  call.dtype = dtype;
  return call;
}

Launched LaunchOn(lamplight_workspace* workspace, const lamplight_call& call) {
  TakeLaunched();
  EXPECT_EQ(LAMPLIGHT_OK, lamplight_all_reduce(workspace, &call, nullptr)) << LastError();
  EXPECT_EQ(cudaSuccess, cudaDeviceSynchronize());
  const auto launched = TakeLaunched();
  EXPECT_EQ(1u, launched.size());
  return launched.empty() ? Launched{} : launched[0];
}

TEST(Launch, TellsTheKernelWhatTheCallSays) {
  const Ranks ranks(4, [](Options* options) {
    options->timeout_ms = 250;
    options->on_divergence = LAMPLIGHT_ON_TROUBLE_TRAP;
  });
  lamplight_call call = Sum(3, 256, LAMPLIGHT_FP16);
  call.pattern = LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM;
  call.residual_in = Address(2);
  call.residual_out = Address(3);
  call.gamma = Address(4);
  call.epsilon = 1e-5f;
  call.weight_bias = 1.0f;
  call.quantisation = LAMPLIGHT_QUANTISATION_NVFP4;
  call.quant_output = Address(5);
  call.scale_output = Address(6);
  call.output_scale = static_cast<const float*>(Address(7));
  call.scale_layout = LAMPLIGHT_SCALES_LINEAR;
  lamplight_workspace* workspace = ranks.workspace(2);
  const CollectiveCall got = LaunchOn(workspace, call).call;
  EXPECT_EQ(call.input, got.input);
  EXPECT_EQ(call.output, got.output);
  EXPECT_EQ(call.residual_in, got.residual_in);
  EXPECT_EQ(call.residual_out, got.residual_out);
  EXPECT_EQ(call.gamma, got.gamma);
  EXPECT_EQ(call.quant_output, got.quant_output);
  EXPECT_EQ(call.scale_output, got.scale_output);
  EXPECT_EQ(call.output_scale, got.output_scale);
  EXPECT_EQ(ScaleLayout::kLinear, got.scale_layout);
  EXPECT_EQ(Quantisation::kNvfp4, got.quantisation);
  EXPECT_EQ(DataType::kFp16, got.data_type);
  EXPECT_EQ(3u, got.tokens);
  EXPECT_EQ(256u, got.hidden);
  EXPECT_EQ(4u, got.world);
  EXPECT_EQ(2u, got.rank);
  EXPECT_EQ(1e-5f, got.epsilon);
  EXPECT_EQ(1.0f, got.weight_bias);
  EXPECT_EQ(kNorm | kTrapOnDivergence, got.options);
  EXPECT_EQ(250'000'000u, got.timeout_ns);
  EXPECT_EQ(workspace->impl->trouble(), got.diagnostic);
  EXPECT_EQ(workspace->impl->common.header_offset, got.header_offset);
  EXPECT_EQ(0u, got.journal.ring);
}

TEST(Launch, TimeoutAndOptionsAreTheWorkspacesUnlessTheCallHasThem) {
  const Ranks ranks(2);
  lamplight_call call = Sum(1, 256, LAMPLIGHT_FP32);
  EXPECT_EQ(10'000'000'000u, LaunchOn(ranks.workspace(0), call).call.timeout_ns);
  EXPECT_EQ(0u, LaunchOn(ranks.workspace(0), call).call.options);
  call.followers_wait = 1;
  EXPECT_EQ(uint8_t{kFollowersWait}, LaunchOn(ranks.workspace(0), call).call.options);
  call.timeout_ms = 7;
  EXPECT_EQ(7'000'000u, LaunchOn(ranks.workspace(0), call).call.timeout_ns);
  call.timeout_ms = LAMPLIGHT_NO_TIMEOUT;
  EXPECT_EQ(0u, LaunchOn(ranks.workspace(0), call).call.timeout_ns);
}

TEST(Launch, TakesTheKernelOfTheTypeAndTheWorld) {
  for (const uint32_t world : {2u, 4u, 8u, 16u}) {
    const Ranks ranks(world);
    for (const uint32_t dtype : {LAMPLIGHT_FP16, LAMPLIGHT_BF16, LAMPLIGHT_FP32}) {
      for (const uint32_t algorithm :
           {LAMPLIGHT_ALGORITHM_ONE_SHOT, LAMPLIGHT_ALGORITHM_TWO_SHOT}) {
        lamplight_call call = Sum(2, 64, dtype);
        call.algorithm = algorithm;
        const Launched launched = LaunchOn(ranks.workspace(0), call);
        EXPECT_EQ(dtype - 1, static_cast<uint32_t>(launched.data_type));
        EXPECT_EQ(algorithm - 1, static_cast<uint32_t>(launched.kernel));
        EXPECT_EQ(world <= 8 ? world : 0, launched.world);
      }
    }
  }
}

TEST(Launch, HasTheShapeOfThePlan) {
  const Ranks ranks(2);
  for (const uint32_t hidden : {8u, 64u, 2880u, 4096u - 8, 8192u}) {
    const Launched launched = LaunchOn(ranks.workspace(0), Sum(3, hidden, LAMPLIGHT_BF16));
    LaunchPlan plan;
    const KernelId id = IdFor(launched.kernel, Protocol::kEpoch, DataType::kBf16, 2);
    ASSERT_TRUE(PlanLaunch(id, 3, hidden, Quantisation::kNone, {132, 9}, &plan));
    EXPECT_EQ(3u, launched.grid_x);
    EXPECT_EQ(plan.grid_y, launched.grid_y);
    EXPECT_EQ(plan.block, launched.block);
    EXPECT_EQ(plan.cluster, launched.cluster);
    EXPECT_EQ(plan.fragments, launched.call.fragments);
  }
}

// Where some clusters only send, a row of the input may be sent after its sum is stored.
TEST(Launch, NoClusterOnlySendsInPlace) {
  for (const uint32_t protocol : {LAMPLIGHT_PROTOCOL_EPOCH, LAMPLIGHT_PROTOCOL_MNNVL}) {
    const Ranks ranks(2, [&](Options* options) {
      options->protocol = protocol;
      options->max_tokens = 2048;
      options->max_hidden = 1024;
    });
    lamplight_call call = Sum(2048, 1024, LAMPLIGHT_BF16);
    EXPECT_GT(LaunchOn(ranks.workspace(0), call).call.senders, 0u);
    call.output = const_cast<void*>(call.input);
    EXPECT_EQ(LaunchOn(ranks.workspace(0), call).call.senders, 0u);
    call.output = Address(1);
    call.pattern = LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM;
    call.residual_in = call.residual_out = Address(2);
    call.gamma = Address(3);
    EXPECT_GT(LaunchOn(ranks.workspace(0), call).call.senders, 0u);
    call.residual_out = const_cast<void*>(call.input);
    EXPECT_EQ(LaunchOn(ranks.workspace(0), call).call.senders, 0u);
  }
}

// On all ranks, for all sizes and dtypes: whatever the ranks' own settings are.
TEST(Launch, AutoIsTheSameOnAllRanks) {
  for (const uint32_t world : {2u, 4u, 8u}) {
    const Ranks ranks(world, [](Options* options) {
      options->max_tokens = 2048;
      options->max_hidden = 1024;
      options->timeout_ms = 100 + options->rank;
    });
    bool seen[2] = {};
    for (uint32_t tokens = 1; tokens <= 2048; tokens = tokens * 3 / 2 + 1) {
      for (const uint32_t dtype : {LAMPLIGHT_BF16, LAMPLIGHT_FP32}) {
        uint32_t first = 0;
        ASSERT_EQ(LAMPLIGHT_OK, lamplight_choose(ranks.workspace(0), tokens, 1024, dtype, &first));
        ASSERT_NE(0u, first);
        seen[first - 1] = true;
        for (uint32_t rank = 1; rank < world; ++rank) {
          uint32_t algorithm = 0;
          ASSERT_EQ(LAMPLIGHT_OK,
                    lamplight_choose(ranks.workspace(rank), tokens, 1024, dtype, &algorithm));
          EXPECT_EQ(first, algorithm);
        }
      }
    }
    EXPECT_TRUE(seen[0]);
    EXPECT_EQ(world > 2, seen[1]);
  }
}

TEST(Launch, AutoLaunchesWhatChooseSays) {
  const Ranks ranks(4, [](Options* options) { options->max_tokens = 512; });
  for (const uint32_t tokens : {1u, 64u, 65u, 512u}) {
    uint32_t algorithm = 0;
    ASSERT_EQ(LAMPLIGHT_OK,
              lamplight_choose(ranks.workspace(1), tokens, 4096 - 64, LAMPLIGHT_FP32, &algorithm));
    const Launched launched = LaunchOn(ranks.workspace(1), Sum(tokens, 4096 - 64, LAMPLIGHT_FP32));
    EXPECT_EQ(algorithm - 1, static_cast<uint32_t>(launched.kernel)) << tokens;
  }
}

// The node that a capture of one call consists of.
class CapturedCall {
 public:
  CapturedCall(lamplight_workspace* workspace, const lamplight_call& call) {
    EXPECT_EQ(cudaSuccess, cudaStreamCreate(&stream_));
    EXPECT_EQ(cudaSuccess, cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal));
    EXPECT_EQ(LAMPLIGHT_OK, lamplight_all_reduce(workspace, &call, stream_)) << LastError();
    EXPECT_EQ(cudaSuccess, cudaStreamEndCapture(stream_, &graph_));
    size_t count = 0;
    EXPECT_EQ(cudaSuccess, cudaGraphGetNodes(graph_, nullptr, &count));
    EXPECT_EQ(1u, count);
    count = 1;
    EXPECT_EQ(cudaSuccess, cudaGraphGetNodes(graph_, &node_, &count));
  }
  ~CapturedCall() {
    cudaGraphDestroy(graph_);
    cudaStreamDestroy(stream_);
  }
  CapturedCall(const CapturedCall&) = delete;
  CapturedCall& operator=(const CapturedCall&) = delete;

  cudaGraph_t graph() const { return graph_; }
  cudaStream_t stream() const { return stream_; }
  cudaKernelNodeAttrValue Attribute(cudaKernelNodeAttrID id) const {
    cudaKernelNodeAttrValue value{};
    EXPECT_EQ(cudaSuccess, cudaGraphKernelNodeGetAttribute(node_, id, &value));
    return value;
  }

 private:
  cudaStream_t stream_ = nullptr;
  cudaGraph_t graph_ = nullptr;
  cudaGraphNode_t node_ = nullptr;
};

TEST(Launch, CaptureTakesItAsOneNodeAndReplaysIt) {
  const Ranks ranks(2);
  TakeLaunched();
  const CapturedCall captured(ranks.workspace(0), Sum(2, 64, LAMPLIGHT_BF16));
  EXPECT_TRUE(TakeLaunched().empty());
  cudaGraphExec_t exec;
  ASSERT_EQ(cudaSuccess, cudaGraphInstantiate(&exec, captured.graph(), 0));
  for (int i = 0; i < 3; ++i) ASSERT_EQ(cudaSuccess, cudaGraphLaunch(exec, captured.stream()));
  ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(captured.stream()));
  EXPECT_EQ(3u, TakeLaunched().size());
  cudaGraphExecDestroy(exec);
}

TEST(Launch, ProgrammaticLaunchIsOnOrOff) {
  const Ranks ranks(2);
  lamplight_call call = Sum(2, 4096 - 64, LAMPLIGHT_BF16);
  for (const uint32_t pdl : {0u, 1u}) {
    call.pdl = pdl;
    const CapturedCall captured(ranks.workspace(0), call);
    const auto value = captured.Attribute(cudaLaunchAttributeProgrammaticStreamSerialization);
    EXPECT_EQ(static_cast<int>(pdl), value.programmaticStreamSerializationAllowed);
    const auto cluster = captured.Attribute(cudaLaunchAttributeClusterDimension);
    EXPECT_EQ(1u, cluster.clusterDim.x);
    EXPECT_GT(cluster.clusterDim.y, 1u);
  }
}

// Every rank stores into every peer's buffer, over the addresses that its call has.
TEST(Launch, RanksOfOneProcessMeet) {
  for (const uint32_t world : {2u, 4u, 16u}) {
    const Ranks ranks(world, [&](Options* options) { options->device = options->rank % 2; });
    for (const uint32_t tokens : {3u, 5u}) {
      std::vector<std::thread> threads;
      for (uint32_t rank = 0; rank < world; ++rank) {
        threads.emplace_back([&, rank] {
          EXPECT_EQ(cudaSuccess, cudaSetDevice(static_cast<int>(rank % 2)));
          cudaStream_t stream;
          EXPECT_EQ(cudaSuccess, cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
          const lamplight_call call = Sum(tokens, kMeetingHidden, LAMPLIGHT_FP32);
          EXPECT_EQ(LAMPLIGHT_OK, lamplight_all_reduce(ranks.workspace(rank), &call, stream))
              << LastError();
          EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream));
          cudaStreamDestroy(stream);
        });
      }
      for (std::thread& thread : threads) thread.join();
    }
  }
}

}  // namespace
}  // namespace lamplight::kernels::test
