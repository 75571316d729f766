// Every way in which a call can be wrong: its code, a text that names the argument, and no launch.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ranks.h"
#include "recording_kernels.h"

namespace lamplight::kernels::test {
namespace {

using Call = lamplight_call;

constexpr uint32_t kTokens = 4;
constexpr uint32_t kHidden = 256;
constexpr size_t kBytes = kTokens * kHidden * 2;

// Addresses are checked, not followed: the recording kernels read nothing.
void* Address(size_t index) { return reinterpret_cast<void*>(0x10000000 + index * (1u << 20)); }
template <class T>
T* Moved(T* address, size_t bytes) {
  return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(address) + bytes);
}

Call Good() {
  Call call = LAMPLIGHT_CALL_INIT;
  call.pattern = LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM;
  call.input = Address(0);
  call.output = Address(1);
  call.residual_in = Address(2);
  call.residual_out = Address(3);
  call.gamma = Address(4);
  call.epsilon = 1e-6f;
  call.tokens = kTokens;
  call.hidden = kHidden;
  call.dtype = LAMPLIGHT_BF16;
  return call;
}

Call GoodNvfp4() {
  Call call = Good();
  call.quantisation = LAMPLIGHT_QUANTISATION_NVFP4;
  call.quant_output = Address(5);
  call.scale_output = Address(6);
  call.output_scale = static_cast<float*>(Address(7));
  return call;
}

Call GoodPerToken() {
  Call call = GoodNvfp4();
  call.quantisation = LAMPLIGHT_QUANTISATION_FP8_PER_TOKEN;
  call.output_scale = nullptr;
  return call;
}

Call GoodFp8() {
  Call call = GoodNvfp4();
  call.quantisation = LAMPLIGHT_QUANTISATION_FP8;
  call.scale_output = nullptr;
  return call;
}

Call GoodSum() {
  Call call = Good();
  call.pattern = LAMPLIGHT_PATTERN_ALL_REDUCE;
  call.residual_in = call.residual_out = nullptr;
  call.gamma = nullptr;
  return call;
}

Call GoodNorm() {
  Call call = Good();
  call.pattern = LAMPLIGHT_PATTERN_RMSNORM;
  call.residual_in = nullptr;
  return call;
}

// One group for all tests of a process.
lamplight_workspace* Workspace() {
  static const Ranks& ranks = *new Ranks(2, [](lamplight_workspace_options* options) {
    options->max_hidden = kHidden;
    options->max_tokens = 8;
    options->dtype = LAMPLIGHT_BF16;
  });
  EXPECT_EQ(LAMPLIGHT_OK, ranks[0].status) << ranks[0].error;
  return ranks.workspace(0);
}

lamplight_status Launch(const Call& call) {
  const lamplight_status status = lamplight_all_reduce(Workspace(), &call, nullptr);
  EXPECT_EQ(cudaSuccess, cudaDeviceSynchronize());
  return status;
}

struct GoodCall {
  const char* name;
  Call (*make)();
};

class CallGood : public testing::TestWithParam<GoodCall> {};

TEST_P(CallGood, IsLaunchedOnce) {
  TakeLaunched();
  ASSERT_EQ(LAMPLIGHT_OK, Launch(GetParam().make())) << LastError();
  EXPECT_EQ(1u, TakeLaunched().size());
}

constexpr GoodCall kGoodCalls[] = {
    {"norm with residual", Good},
    {"norm", GoodNorm},
    {"sum", GoodSum},
    {"fp8", GoodFp8},
    {"fp8 per token", GoodPerToken},
    {"nvfp4", GoodNvfp4},
    {"in place",
     [] {
       Call call = Good();
       call.output = const_cast<void*>(call.input);
       call.residual_out = const_cast<void*>(call.residual_in);
       return call;
     }},
    {"residual over input",
     [] {
       Call call = Good();
       call.residual_out = const_cast<void*>(call.input);
       return call;
     }},
    {"without residual_out",
     [] {
       Call call = Good();
       call.residual_out = nullptr;
       return call;
     }},
    {"quantised only",
     [] {
       Call call = GoodFp8();
       call.output = nullptr;
       return call;
     }},
    {"linear scales",
     [] {
       Call call = GoodNvfp4();
       call.scale_layout = LAMPLIGHT_SCALES_LINEAR;
       return call;
     }},
    {"adjacent tensors",
     [] {
       Call call = Good();
       call.output = Moved(const_cast<void*>(call.input), kBytes);
       return call;
     }},
};
INSTANTIATE_TEST_SUITE_P(All, CallGood, testing::ValuesIn(kGoodCalls));

struct BadCall {
  Call (*base)();
  void (*change)(Call*);
  lamplight_status status;
  const char* name;
};

class CallBad : public testing::TestWithParam<BadCall> {};

TEST_P(CallBad, HasItsCodeAndNamesTheArgument) {
  TakeLaunched();
  Call call = GetParam().base();
  GetParam().change(&call);
  EXPECT_EQ(GetParam().status, Launch(call)) << LastError();
  EXPECT_EQ(0u, LastError().find(GetParam().name)) << LastError();
  EXPECT_TRUE(TakeLaunched().empty());
}

constexpr lamplight_status kNull = LAMPLIGHT_ERROR_NULL;
constexpr lamplight_status kMisaligned = LAMPLIGHT_ERROR_MISALIGNED;
constexpr lamplight_status kOverlap = LAMPLIGHT_ERROR_OVERLAP;
constexpr lamplight_status kUnused = LAMPLIGHT_ERROR_PATTERN;
constexpr lamplight_status kQuantisation = LAMPLIGHT_ERROR_QUANTISATION;

constexpr BadCall kNulls[] = {
    {Good, [](Call* c) { c->input = nullptr; }, kNull, "call->input is null"},
    {Good, [](Call* c) { c->output = nullptr; }, kNull, "call->output is null"},
    {Good, [](Call* c) { c->residual_in = nullptr; }, kNull, "call->residual_in is null"},
    {Good, [](Call* c) { c->gamma = nullptr; }, kNull, "call->gamma is null"},
    {GoodNorm, [](Call* c) { c->gamma = nullptr; }, kNull, "call->gamma is null"},
    {GoodFp8, [](Call* c) { c->quant_output = nullptr; }, kNull, "call->quant_output is null"},
    {GoodFp8, [](Call* c) { c->output_scale = nullptr; }, kNull, "call->output_scale is null"},
    {GoodPerToken, [](Call* c) { c->scale_output = nullptr; }, kNull, "call->scale_output is null"},
    {GoodNvfp4, [](Call* c) { c->scale_output = nullptr; }, kNull, "call->scale_output is null"},
    {GoodNvfp4, [](Call* c) { c->output_scale = nullptr; }, kNull, "call->output_scale is null"},
};
INSTANTIATE_TEST_SUITE_P(Null, CallBad, testing::ValuesIn(kNulls));

template <auto kMember>
void Misalign(Call* call) {
  call->*kMember = Moved(call->*kMember, 8);
}
constexpr BadCall kMisalignedCalls[] = {
    {Good, Misalign<&Call::input>, kMisaligned, "call->input is 0x"},
    {Good, Misalign<&Call::output>, kMisaligned, "call->output is 0x"},
    {Good, Misalign<&Call::residual_in>, kMisaligned, "call->residual_in is 0x"},
    {Good, Misalign<&Call::residual_out>, kMisaligned, "call->residual_out is 0x"},
    {Good, Misalign<&Call::gamma>, kMisaligned, "call->gamma is 0x"},
    {GoodFp8, Misalign<&Call::quant_output>, kMisaligned, "call->quant_output is 0x"},
    {GoodNvfp4, Misalign<&Call::scale_output>, kMisaligned, "call->scale_output is 0x"},
    {GoodPerToken, [](Call* c) { c->scale_output = Moved(c->scale_output, 2); }, kMisaligned,
     "call->scale_output is 0x"},
    {GoodFp8, [](Call* c) { c->output_scale = Moved(c->output_scale, 2); }, kMisaligned,
     "call->output_scale is 0x"},
};
INSTANTIATE_TEST_SUITE_P(Misaligned, CallBad, testing::ValuesIn(kMisalignedCalls));

constexpr BadCall kUnusedTensors[] = {
    {GoodSum, [](Call* c) { c->residual_in = Address(9); }, kUnused, "call->residual_in is 0x"},
    {GoodSum, [](Call* c) { c->residual_out = Address(9); }, kUnused, "call->residual_out is 0x"},
    {GoodSum, [](Call* c) { c->gamma = Address(9); }, kUnused, "call->gamma is 0x"},
    {GoodNorm, [](Call* c) { c->residual_in = Address(9); }, kUnused, "call->residual_in is 0x"},
    {Good, [](Call* c) { c->quant_output = Address(9); }, kQuantisation, "call->quant_output is"},
    {Good, [](Call* c) { c->scale_output = Address(9); }, kQuantisation, "call->scale_output is"},
    {GoodFp8, [](Call* c) { c->scale_output = Address(9); }, kQuantisation,
     "call->scale_output is"},
    {GoodPerToken, [](Call* c) { c->output_scale = static_cast<float*>(Address(9)); },
     kQuantisation, "call->output_scale is"},
};
INSTANTIATE_TEST_SUITE_P(Unused, CallBad, testing::ValuesIn(kUnusedTensors));

constexpr BadCall kNumbers[] = {
    {Good, [](Call* c) { c->pattern = 3; }, LAMPLIGHT_ERROR_PATTERN, "call->pattern is 3"},
    {Good, [](Call* c) { c->dtype = 0; }, LAMPLIGHT_ERROR_DTYPE, "call->dtype is 0"},
    {Good, [](Call* c) { c->dtype = 4; }, LAMPLIGHT_ERROR_DTYPE, "call->dtype is 4"},
    {Good, [](Call* c) { c->tokens = 0; }, LAMPLIGHT_ERROR_TOKENS, "call->tokens is 0"},
    {Good, [](Call* c) { c->tokens = 1u << 31; }, LAMPLIGHT_ERROR_TOKENS, "call->tokens is 2147"},
    {Good, [](Call* c) { c->tokens = 65537; }, LAMPLIGHT_ERROR_TOKENS,
     "call->tokens is 65537: give 1 to 65536"},
    {Good, [](Call* c) { c->hidden = 0; }, LAMPLIGHT_ERROR_HIDDEN, "call->hidden is 0"},
    {Good, [](Call* c) { c->hidden = 255; }, LAMPLIGHT_ERROR_HIDDEN, "call->hidden is 255"},
    {Good, [](Call* c) { c->hidden = UINT32_MAX; }, LAMPLIGHT_ERROR_HIDDEN, "call->hidden is 429"},
    {Good, [](Call* c) { c->algorithm = 3; }, LAMPLIGHT_ERROR_ALGORITHM, "call->algorithm is 3"},
    {Good, [](Call* c) { c->quantisation = 4; }, kQuantisation, "quantisation is 4"},
    {Good, [](Call* c) { c->scale_layout = 2; }, kQuantisation, "scale_layout is 2"},
    {GoodNvfp4, [](Call* c) { c->scale_layout = 1; }, kQuantisation, "scale_layout is 1"},
    {GoodNvfp4, [](Call* c) { c->hidden = 248; }, kQuantisation, "hidden is 248"},
    {Good, [](Call* c) { c->pdl = 2; }, LAMPLIGHT_ERROR_VALUE, "call->pdl is 2"},
    {Good, [](Call* c) { c->followers_wait = 2; }, LAMPLIGHT_ERROR_VALUE,
     "call->followers_wait is 2"},
    {Good, [](Call* c) { c->reserved = 1; }, LAMPLIGHT_ERROR_VALUE, "call->reserved is 1"},
    {Good, [](Call* c) { c->epsilon = -1e-9f; }, LAMPLIGHT_ERROR_VALUE, "call->epsilon is -1e-09"},
    {Good, [](Call* c) { c->epsilon = std::numeric_limits<float>::quiet_NaN(); },
     LAMPLIGHT_ERROR_VALUE, "call->epsilon is nan"},
    {Good, [](Call* c) { c->weight_bias = std::numeric_limits<float>::infinity(); },
     LAMPLIGHT_ERROR_VALUE, "call->weight_bias is inf"},
    {Good, [](Call* c) { c->struct_size = 0; }, LAMPLIGHT_ERROR_STRUCT_SIZE, "call->struct_size"},
    {Good, [](Call* c) { c->struct_size = 5000; }, LAMPLIGHT_ERROR_STRUCT_SIZE,
     "call->struct_size is 5000"},
    {Good, [](Call* c) { c->tokens = 1000; }, LAMPLIGHT_ERROR_CAPACITY, "call->tokens is 1000"},
    {Good,
     [](Call* c) {
       c->tokens = 1000;
       c->algorithm = LAMPLIGHT_ALGORITHM_TWO_SHOT;
     },
     LAMPLIGHT_ERROR_CAPACITY, "call->tokens is 1000"},
};
INSTANTIATE_TEST_SUITE_P(Number, CallBad, testing::ValuesIn(kNumbers));

// `to` begins `bytes` behind `from`.
template <auto kTo, auto kFrom, int kOffset>
void Overlap(Call* call) {
  using To = std::remove_reference_t<decltype(call->*kTo)>;
  call->*kTo = const_cast<To>(static_cast<const void*>(Moved(call->*kFrom, kOffset)));
}
constexpr BadCall kOverlaps[] = {
    {Good, Overlap<&Call::output, &Call::input, 512>, kOverlap, "call->input (0x"},
    {Good, Overlap<&Call::input, &Call::output, 16>, kOverlap, "call->input (0x"},
    {Good, Overlap<&Call::output, &Call::residual_out, 0>, kOverlap, "call->output (0x"},
    {Good, Overlap<&Call::residual_out, &Call::residual_in, 16>, kOverlap, "call->residual_in (0x"},
    {Good, Overlap<&Call::output, &Call::gamma, 0>, kOverlap, "call->output (0x"},
    {Good, Overlap<&Call::gamma, &Call::output, kBytes - 16>, kOverlap, "call->output (0x"},
    {GoodFp8, Overlap<&Call::quant_output, &Call::input, 0>, kOverlap, "call->input (0x"},
    {GoodFp8, Overlap<&Call::quant_output, &Call::output, 0>, kOverlap, "call->output (0x"},
    {GoodNvfp4, Overlap<&Call::scale_output, &Call::quant_output, 16>, kOverlap,
     "call->quant_output (0x"},
};
INSTANTIATE_TEST_SUITE_P(Overlap, CallBad, testing::ValuesIn(kOverlaps));

TEST(Call, NullsAreNamed) {
  const Call call = Good();
  EXPECT_EQ(kNull, lamplight_all_reduce(nullptr, &call, nullptr));
  EXPECT_EQ("workspace is null", LastError());
  EXPECT_EQ(kNull, lamplight_all_reduce(Workspace(), nullptr, nullptr));
  EXPECT_EQ("call is null", LastError());
}

TEST(Call, CapacityTextSaysHowManyFit) {
  uint32_t most = 0;
  ASSERT_EQ(LAMPLIGHT_OK, lamplight_workspace_capacity(Workspace(), kHidden, LAMPLIGHT_BF16,
                                                       LAMPLIGHT_ALGORITHM_ONE_SHOT, &most));
  Call call = Good();
  call.algorithm = LAMPLIGHT_ALGORITHM_ONE_SHOT;
  call.tokens = most;
  for (size_t i = 0; i < 5; ++i) ASSERT_LT(most * kHidden * 2, 1u << 20);
  EXPECT_EQ(LAMPLIGHT_OK, Launch(call)) << LastError();
  call.tokens = most + 1;
  EXPECT_EQ(LAMPLIGHT_ERROR_CAPACITY, Launch(call));
  EXPECT_NE(std::string::npos, LastError().find("holds " + std::to_string(most) + " tokens"));
}

TEST(Call, OtherDeviceIsRefused) {
  lamplight_workspace* workspace = Workspace();
  const Call call = Good();
  ASSERT_EQ(cudaSuccess, cudaSetDevice(1));
  EXPECT_EQ(LAMPLIGHT_ERROR_DEVICE, lamplight_all_reduce(workspace, &call, nullptr));
  EXPECT_EQ(0u, LastError().find("device 1 is current and the workspace is on device 0"));
  ASSERT_EQ(cudaSuccess, cudaSetDevice(0));
}

TEST(Call, StreamThatIsNoneIsRefused) {
  const Call call = Good();
  cudaStream_t stream;
  ASSERT_EQ(cudaSuccess, cudaStreamCreate(&stream));
  ASSERT_EQ(cudaSuccess, cudaStreamDestroy(stream));
  EXPECT_EQ(LAMPLIGHT_ERROR_CUDA, lamplight_all_reduce(Workspace(), &call, stream));
  EXPECT_EQ(0u, LastError().find("cudaLaunchKernelExC failed"));
  EXPECT_EQ(cudaSuccess, cudaGetLastError());
}

TEST(Call, LegacyStreamDuringACaptureIsRefused) {
  lamplight_workspace* workspace = Workspace();
  const Call call = Good();
  cudaStream_t stream;
  ASSERT_EQ(cudaSuccess, cudaStreamCreate(&stream));
  ASSERT_EQ(cudaSuccess, cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  EXPECT_EQ(LAMPLIGHT_ERROR_CAPTURE, lamplight_all_reduce(workspace, &call, nullptr));
  EXPECT_NE(std::string::npos, LastError().find("launch on the capturing stream"));
  cudaGraph_t graph = nullptr;
  static_cast<void>(cudaStreamEndCapture(stream, &graph));
  static_cast<void>(cudaGetLastError());
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

// The caller's struct ends behind `algorithm`: a plain sum. What follows is not looked at.
TEST(Call, OlderCallersGetTheDefaults) {
  TakeLaunched();
  Call call = GoodSum();
  call.struct_size = offsetof(Call, residual_in);
  call.residual_in = Address(9);
  call.pdl = 7;
  EXPECT_EQ(LAMPLIGHT_OK, Launch(call)) << LastError();
  const auto launched = TakeLaunched();
  ASSERT_EQ(1u, launched.size());
  EXPECT_EQ(nullptr, launched[0].call.residual_in);
}

TEST(Call, NewerCallersAreServedUnlessTheyAskForMore) {
  struct Newer {
    Call call;
    uint64_t more;
  };
  Newer newer{GoodSum(), 0};
  newer.call.struct_size = sizeof newer;
  EXPECT_EQ(LAMPLIGHT_OK, Launch(newer.call)) << LastError();
  newer.more = uint64_t{1} << 40;
  EXPECT_EQ(LAMPLIGHT_ERROR_STRUCT_SIZE, Launch(newer.call));
}

TEST(Call, RowsBeyondACluster) {
  const Ranks ranks(2, [](lamplight_workspace_options* options) {
    options->max_hidden = 1u << 20;
    options->max_tokens = 1;
  });
  Call call = GoodSum();
  call.tokens = 1;
  call.hidden = 1u << 20;
  call.dtype = LAMPLIGHT_FP32;
  call.output = Address(40);
  ASSERT_EQ(LAMPLIGHT_OK, ranks[0].status) << ranks[0].error;
  EXPECT_EQ(LAMPLIGHT_ERROR_HIDDEN, lamplight_all_reduce(ranks.workspace(0), &call, nullptr));
  EXPECT_EQ(0u, LastError().find("call->hidden is 1048576"));
}

TEST(CapacityQuery, RefusesBadArguments) {
  uint32_t out = 0;
  lamplight_workspace* w = Workspace();
  EXPECT_EQ(kNull, lamplight_workspace_capacity(nullptr, kHidden, LAMPLIGHT_BF16, 0, &out));
  EXPECT_EQ(kNull, lamplight_workspace_capacity(w, kHidden, LAMPLIGHT_BF16, 0, nullptr));
  EXPECT_EQ(LAMPLIGHT_ERROR_DTYPE, lamplight_workspace_capacity(w, kHidden, 9, 0, &out));
  EXPECT_EQ(LAMPLIGHT_ERROR_HIDDEN, lamplight_workspace_capacity(w, 3, LAMPLIGHT_BF16, 0, &out));
  EXPECT_EQ(LAMPLIGHT_ERROR_ALGORITHM,
            lamplight_workspace_capacity(w, kHidden, LAMPLIGHT_BF16, 3, &out));
  EXPECT_EQ(kNull, lamplight_choose(nullptr, 1, kHidden, LAMPLIGHT_BF16, &out));
  EXPECT_EQ(kNull, lamplight_choose(w, 1, kHidden, LAMPLIGHT_BF16, nullptr));
  EXPECT_EQ(LAMPLIGHT_ERROR_TOKENS, lamplight_choose(w, 0, kHidden, LAMPLIGHT_BF16, &out));
  EXPECT_EQ(LAMPLIGHT_ERROR_HIDDEN, lamplight_choose(w, 1, 0, LAMPLIGHT_BF16, &out));
}

}  // namespace
}  // namespace lamplight::kernels::test
