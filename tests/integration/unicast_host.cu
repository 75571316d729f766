// A host with two ranks in one process that launches FlashInfer's or TensorRT-LLM's non-MNNVL
// kernels, in the orders that are hazards and in some that are not.
//
// usage: unicast_host MODE [FAMILY]; the modes are those of main() below, FAMILY is "flashinfer"
// (default), or TensorRT-LLM's with sizes of 32 bits among the flag words ("trtllm-32") or of 64
// bits apart ("trtllm-64"). The simulated device executes the kernels; their bodies here are empty,
// so a GPU is no place for this program. It exits with 3 where the ranks stand still.
#include <cuda_runtime.h>

#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "driver_call.h"
#include "green_stream.h"
#include "unicast_field.cuh"

namespace unicast_host {

__global__ void touchKernel(const uint16_t*, uint16_t*) {}

}  // namespace unicast_host

namespace {

namespace field = flashinfer::trtllm_allreduce_fusion;
using Pattern = field::AllReduceFusionPattern;
using Bf16 = __nv_bfloat16;
namespace trtllm = tensorrt_llm::kernels::ar_fusion;

enum class Family { kFlashInfer, kSizesOf32, kSizesOf64 };

constexpr int kWorld = 2;
constexpr int kDim = 64;
constexpr int kMaxTokens = 8;
constexpr int kManyTokens = 256;            // more than a share of 8 multiprocessors has at once
constexpr uint32_t kMark = 0x80008000u;     // two empty 16-bit elements
constexpr uint32_t kForeign = 0xdeadbeefu;  // where no kernel's words are

void Fail(const std::string& problem) {
  std::fprintf(stderr, "unicast_host: %s\n", problem.c_str());
  std::exit(1);
}

void Check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) Fail(std::string(call) + ": " + cudaGetErrorString(status));
}
#define CHECK(call) Check(call, #call)

template <class Value>
Value* Upload(const std::vector<Value>& values) {
  void* memory = nullptr;
  CHECK(cudaMalloc(&memory, values.size() * sizeof(Value)));
  CHECK(cudaMemcpy(memory, values.data(), values.size() * sizeof(Value), cudaMemcpyHostToDevice));
  return static_cast<Value*>(memory);
}

struct Tensors {
  void *in, *out, *residual_in, *residual_out, *norm_out, *gamma;
};

// FlashInfer's parameters as TensorRT-LLM has them.
template <class T>
trtllm::AllReduceFusionParams AsTensorRtLlm(const field::AllReduceFusionParams<T>& p) {
  constexpr int kFloat = 0, kBf16 = 7;
  trtllm::AllReduceFusionParams q{};
  q.nranks = p.nranks;
  q.rank = p.rank;
  q.dtype = std::is_same_v<T, float> ? kFloat : kBf16;
  q.size = p.size;
  q.hidden_dim = p.hidden_dim;
  q.workspace = p.workspace;
  q.allreduce_in = p.allreduce_in;
  q.allreduce_out = p.allreduce_out;
  q.residual_in = p.residual_in;
  q.residual_out = p.residual_out;
  q.norm_out = p.norm_out;
  q.rms_gamma = p.rms_gamma;
  q.rms_eps = p.rms_eps;
  q.use_oneshot = p.use_oneshot;
  q.pattern = static_cast<trtllm::AllReduceFusionPattern>(p.pattern);
  return q;
}

struct Rank {
  int rank = 0;
  Family family = Family::kFlashInfer;
  bool by_driver = false;  // launched by the driver API, where the shim replaces nothing
  cudaStream_t stream = nullptr;
  void** workspace = nullptr;
  void *comm = nullptr, *flags = nullptr, *lamport = nullptr, *words = nullptr, *sizes = nullptr;
  Tensors tensors{};

  Rank(int own, Family whose, uint32_t generation_bytes, bool on_share) : rank(own), family(whose) {
    if (on_share) {
      stream = engine::GreenStream(false);
    } else {
      CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    }
    comm = Upload(std::vector<uint32_t>(kManyTokens * kDim, 0));
    flags = Upload(std::vector<uint32_t>(256 * kWorld, 0));
    lamport = Upload(std::vector<uint32_t>(3 * generation_bytes / 4, kMark));
    words = Upload(std::vector<uint32_t>{0, 0, 0, generation_bytes, 0, 0, 0, 0});
    if (family == Family::kSizesOf64) {
      words = Upload(std::vector<uint32_t>{0, 0, 0, kForeign, kForeign, 0, 0, 0});
      sizes = Upload(std::vector<uint64_t>{0, generation_bytes});
    }
    if (family != Family::kFlashInfer) Arm(3 * generation_bytes / 4);
    for (void** tensor : {&tensors.in, &tensors.out, &tensors.residual_in, &tensors.residual_out,
                          &tensors.norm_out, &tensors.gamma}) {
      // Ones, as fp32 and (every other) as bf16.
      *tensor = Upload(std::vector<uint32_t>(kManyTokens * kDim, 0x3f803f80u));
    }
  }

  void Arm(int elements) {
    if (family == Family::kSizesOf32) {
      trtllm::lamport_initialize_kernel<<<1, 32, 0, stream>>>(static_cast<float*>(lamport),
                                                              elements);
    } else {
      trtllm::lamport_initialize_kernel<<<1, 32, 0, stream>>>(static_cast<float*>(lamport),
                                                              static_cast<size_t>(elements));
    }
    CHECK(cudaGetLastError());
    CHECK(cudaStreamSynchronize(stream));
  }

  template <class T>
  field::AllReduceFusionParams<T> Parameters(const Tensors& t, Pattern pattern, int tokens) const {
    field::AllReduceFusionParams<T> p{};
    p.nranks = kWorld;
    p.rank = rank;
    p.size = tokens * kDim;
    p.hidden_dim = kDim;
    p.workspace = workspace;
    p.allreduce_in = t.in;
    p.allreduce_out = t.out;
    p.rms_eps = 1e-5f;
    p.use_oneshot = true;
    p.pattern = pattern;
    if (pattern == Pattern::kAllReduce) return p;
    p.residual_in = t.residual_in;
    p.residual_out = t.residual_out;
    p.norm_out = t.norm_out;
    p.rms_gamma = t.gamma;
    return p;
  }

  void Launch(const void* kernel, int blocks, void** arguments, bool pdl) const {
    if (by_driver) return LaunchByDriver(kernel, static_cast<unsigned>(blocks), arguments);
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = pdl;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(blocks));
    config.blockDim = dim3(32);
    config.stream = stream;
    config.attrs = &attribute;
    config.numAttrs = 1;
    CHECK(cudaLaunchKernelExC(&config, kernel, arguments));
  }

  void LaunchByDriver(const void* kernel, unsigned blocks, void** arguments) const {
    cudaFunction_t function = nullptr;
    CHECK(cudaGetFuncBySymbol(&function, kernel));
    DRIVER(cuLaunchKernel, function, blocks, 1, 1, 32, 1, 1, 0, stream, arguments, nullptr);
  }

  template <class T, Pattern pattern, bool at_end = true>
  void OneShot(int tokens, bool pdl = false, const Tensors* other = nullptr) const {
    auto parameters = Parameters<T>(other != nullptr ? *other : tensors, pattern, tokens);
    if (family == Family::kFlashInfer) {
      void* arguments[] = {&parameters};
      auto* kernel =
          field::allreduce_fusion_kernel_oneshot_lamport<pattern, T, kWorld, true, at_end>;
      return Launch(reinterpret_cast<const void*>(kernel), tokens, arguments, pdl);
    }
    constexpr auto kPattern = static_cast<trtllm::AllReduceFusionPattern>(pattern);
    auto theirs = AsTensorRtLlm(parameters);
    void* arguments[] = {&theirs};
    auto* kernel =
        trtllm::allreduce_fusion_kernel_oneshot_lamport<kPattern, T, kWorld, false, at_end>;
    Launch(reinterpret_cast<const void*>(kernel), tokens, arguments, pdl);
  }

  void TwoShot(int tokens) const {
    auto parameters = Parameters<Bf16>(tensors, Pattern::kAllReduce, tokens);
    parameters.use_oneshot = false;
    std::array<int, kWorld> begin{0, tokens / 2}, count{tokens / 2, tokens - tokens / 2};
    if (family == Family::kFlashInfer) {
      void* arguments[] = {&parameters, &begin, &count};
      auto* kernel =
          field::allreduce_fusion_kernel_twoshot_sync<Pattern::kAllReduce, Bf16, kWorld, true>;
      return Launch(reinterpret_cast<const void*>(kernel), tokens, arguments, false);
    }
    auto theirs = AsTensorRtLlm(parameters);
    void* arguments[] = {&theirs, &begin, &count};
    auto* kernel =
        trtllm::allreduce_fusion_kernel_twoshot_sync<trtllm::AllReduceFusionPattern::kAllReduce,
                                                     Bf16, kWorld, false>;
    Launch(reinterpret_cast<const void*>(kernel), tokens, arguments, false);
  }

  void Touch(void* from, void* to) const {
    void* arguments[] = {&from, &to};
    Launch(reinterpret_cast<const void*>(unicast_host::touchKernel), 1, arguments, false);
  }
};

using Ranks = std::vector<Rank>;

Ranks MakeRanks(Family family, uint32_t generation_bytes, bool on_shares) {
  Ranks ranks;
  for (int rank = 0; rank < kWorld; ++rank) {
    ranks.emplace_back(rank, family, generation_bytes, on_shares);
  }
  for (Rank& rank : ranks) {
    std::vector<void*> table;
    for (void* Rank::*part : {&Rank::comm, &Rank::flags, &Rank::lamport}) {
      for (const Rank& peer : ranks) table.push_back(peer.*part);
    }
    table.push_back(rank.words);
    if (rank.sizes != nullptr) table.push_back(rank.sizes);
    rank.workspace = Upload(table);
  }
  return ranks;
}

// Returns when the rank's stream is done, or ends the program.
void Await(const Rank& rank) {
  constexpr std::chrono::seconds kPatience{8};
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (cudaStreamQuery(rank.stream) == cudaErrorNotReady) {
    if (std::chrono::steady_clock::now() > end) {
      std::fprintf(stderr, "unicast_host: rank %d stands still\n", rank.rank);
      std::exit(3);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(cudaStreamSynchronize(rank.stream));
}

template <class Work>
void OnBoth(const Ranks& ranks, Work work) {
  for (const Rank& rank : ranks) work(rank);
  for (const Rank& rank : ranks) Await(rank);
}

// Twice the replay of what `work` launches on each rank.
template <class Work>
void Replayed(const Ranks& ranks, Work work) {
  std::vector<cudaGraphExec_t> execs;
  for (const Rank& rank : ranks) {
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamBeginCapture(rank.stream, cudaStreamCaptureModeThreadLocal));
    work(rank);
    CHECK(cudaStreamEndCapture(rank.stream, &graph));
    CHECK(cudaGraphInstantiate(&execs.emplace_back(), graph, 0));
  }
  for (int i = 0; i < 2; ++i) {
    OnBoth(ranks, [&](const Rank& rank) { CHECK(cudaGraphLaunch(execs[rank.rank], rank.stream)); });
  }
}

// ---------------------------------------------------------------- modes

void OneWidth(const Ranks& ranks, int tokens) {
  for (int i = 0; i < 6; ++i) {
    OnBoth(ranks, [=](const Rank& rank) { rank.OneShot<Bf16, Pattern::kAllReduce>(tokens); });
  }
}

// Three 16-bit calls, then three of fp32.
void TwoWidths(const Ranks& ranks) {
  for (int i = 0; i < 6; ++i) {
    OnBoth(ranks, [&](const Rank& rank) {
      if (i < 3) return rank.OneShot<Bf16, Pattern::kAllReduce>(4);
      rank.OneShot<float, Pattern::kAllReduce>(4);
    });
  }
}

constexpr auto kNormed = Pattern::kARResidualRMSNorm;

// The second call's residual is what the first one writes.
template <bool at_end = false>
void EarlyRead(const Ranks& ranks, bool pdl) {
  Replayed(ranks, [&](const Rank& rank) {
    Tensors second = rank.tensors;
    second.residual_in = rank.tensors.residual_out;
    second.residual_out = rank.tensors.out;
    rank.OneShot<Bf16, kNormed, at_end>(4, pdl);
    rank.OneShot<Bf16, kNormed, at_end>(4, pdl, &second);
  });
}

// A kernel in front that has to do with the residual, or with the input only.
void BehindAnother(const Ranks& ranks, void* Tensors::*tensor) {
  Replayed(ranks, [&](const Rank& rank) {
    rank.Touch(rank.tensors.out, rank.tensors.*tensor);
    rank.OneShot<Bf16, kNormed>(4, true);
  });
}

void TwoShots(const Ranks& ranks, int first, int second) {
  for (const int tokens : {first, second}) {
    OnBoth(ranks, [&](const Rank& rank) { rank.TwoShot(tokens); });
  }
}

// Rank 1's first call has a token less. What it sends lies elsewhere than rank 0 looks: of the
// first tokens all comes, so the flags move on, of the last ones nothing. What it sends in its
// second call, if that has a token less too, begins in rank 0's own slots, where nothing else is
// yet.
template <class Run>
void FewerTokens(const Ranks& ranks, Run run, int tokens, std::array<int, kWorld> then) {
  run(ranks, [=](const Rank& rank) {
    rank.OneShot<Bf16, Pattern::kAllReduce>(tokens - rank.rank);
    rank.OneShot<Bf16, Pattern::kAllReduce>(then[rank.rank]);
  });
}

// Whole numbers from −4 to 4; its zeros are −0. Two of them add up exactly, and so they do with
// ones.
float Given(int rank, int element) {
  const float value = static_cast<float>((element * 7 + element / 5 + rank * 3) % 9 - 4);
  return value == 0 ? -0.0f : value;
}

template <class T>
using Bits = std::conditional_t<std::is_same_v<T, float>, uint32_t, uint16_t>;
template <class T>
Bits<T> BitsOf(float exact) {
  return static_cast<Bits<T>>(std::bit_cast<uint32_t>(exact) >> (32 - 8 * sizeof(Bits<T>)));
}
template <class T>
float ValueOf(Bits<T> bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << (32 - 8 * sizeof(Bits<T>)));
}

template <class T>
std::vector<Bits<T>> Download(const void* from, int elements) {
  std::vector<Bits<T>> values(static_cast<size_t>(elements));
  CHECK(cudaMemcpy(values.data(), from, values.size() * sizeof(Bits<T>), cudaMemcpyDeviceToHost));
  return values;
}

void ExpectSums(const char* what, bool right, int rank, int element) {
  if (right) return;
  Fail(std::string(what) + " of rank " + std::to_string(rank) + " is wrong at element " +
       std::to_string(element));
}

template <class T>
void CheckSums(const Rank& rank, const void* tensor, int tokens, float more) {
  const auto sums = Download<T>(tensor, tokens * kDim);
  for (int i = 0; i < tokens * kDim; ++i) {
    const Bits<T> expected = BitsOf<T>(Given(0, i) + Given(1, i) + more + 0.0f);
    ExpectSums("a sum", sums[i] == expected, rank.rank, i);
  }
}

template <class T>
void CheckNorms(const Rank& rank, int tokens) {
  const auto norms = Download<T>(rank.tensors.norm_out, tokens * kDim);
  for (int first = 0; first < tokens * kDim; first += kDim) {
    float squares = 0;
    for (int i = first; i < first + kDim; ++i) {
      squares += std::pow(Given(0, i) + Given(1, i) + 1, 2.0f);
    }
    for (int i = first; i < first + kDim; ++i) {
      const float expected = (Given(0, i) + Given(1, i) + 1) / std::sqrt(squares / kDim + 1e-5f);
      const bool right = std::abs(ValueOf<T>(norms[i]) - expected) <= 0.01f * std::abs(expected);
      ExpectSums("a norm", right, rank.rank, i);
    }
  }
}

// Where no state is, nobody has written.
void CheckForeignWords(const Rank& rank) {
  if (rank.family != Family::kSizesOf64) return;
  const auto words = Download<float>(rank.words, 5);
  if (words[3] != kForeign || words[4] != kForeign) Fail("foreign words have been written to");
}

// Calls of several sizes, with and without a norm, whose results are known.
template <class T>
void Results(const Ranks& ranks) {
  const std::vector<Bits<T>> ones(kMaxTokens * kDim, BitsOf<T>(1));
  for (const Rank& rank : ranks) {
    std::vector<Bits<T>> given;
    for (int i = 0; i < kMaxTokens * kDim; ++i) given.push_back(BitsOf<T>(Given(rank.rank, i)));
    const auto fill = [](void* tensor, const std::vector<Bits<T>>& values) {
      CHECK(cudaMemcpy(tensor, values.data(), values.size() * sizeof values[0],
                       cudaMemcpyHostToDevice));
    };
    fill(rank.tensors.in, given);
    fill(rank.tensors.residual_in, ones);
    fill(rank.tensors.gamma, ones);
  }
  for (int call = 0; call < 12; ++call) {
    const int tokens = 1 + call * 3 % kMaxTokens;
    const bool norms = call % 2 == 1;
    OnBoth(ranks, [&](const Rank& rank) {
      if (norms) return rank.OneShot<T, kNormed>(tokens);
      rank.OneShot<T, Pattern::kAllReduce>(tokens);
    });
    for (const Rank& rank : ranks) {
      CheckSums<T>(rank, norms ? rank.tensors.residual_out : rank.tensors.out, tokens, norms);
      if (norms) CheckNorms<T>(rank, tokens);
      CheckForeignWords(rank);
    }
  }
}

// A swapped kernel refuses what the workspace has no room for.
void TooLarge(const Ranks& ranks) {
  OnBoth(ranks, [](const Rank& rank) { rank.OneShot<Bf16, Pattern::kAllReduce>(kMaxTokens); });
  for (const Rank& rank : ranks) {
    uint16_t first = 0;
    CHECK(cudaMemcpy(&first, rank.tensors.out, sizeof first, cudaMemcpyDeviceToHost));
    if ((first & 0x7fff) <= 0x7f80) Fail("a call that does not fit has given a number");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) return 64;
  const std::string mode = argv[1], whose = argc == 3 ? argv[2] : "flashinfer";
  const bool apart = whose == "trtllm-64", theirs = apart || whose == "trtllm-32";
  if (!theirs && whose != "flashinfer") Fail("no family \"" + whose + "\"");
  const Family family =
      apart ? Family::kSizesOf64 : (theirs ? Family::kSizesOf32 : Family::kFlashInfer);
  CHECK(cudaFree(nullptr));
  Ranks ranks = MakeRanks(family, mode == "too-large" ? 1024 : 1 << 17, mode == "on-shares");
  if (mode == "results-seen-of-rank-0") ranks[1].by_driver = true;
  if (mode == "results-seen-of-rank-1") ranks[0].by_driver = true;
  if (mode == "one-width") return OneWidth(ranks, 4), 0;
  if (mode == "many-tokens" || mode == "on-shares") return OneWidth(ranks, kManyTokens), 0;
  if (mode == "results-fp32") return Results<float>(ranks), 0;
  if (mode.starts_with("results")) return Results<Bf16>(ranks), 0;
  if (mode == "two-widths") return TwoWidths(ranks), 0;
  if (mode == "early-read") return EarlyRead(ranks, true), 0;
  if (mode == "early-read-at-end") return EarlyRead<true>(ranks, true), 0;
  if (mode == "early-read-ordered") return EarlyRead(ranks, false), 0;
  if (mode == "behind-residual") return BehindAnother(ranks, &Tensors::residual_in), 0;
  if (mode == "behind-input") return BehindAnother(ranks, &Tensors::in), 0;
  if (mode == "larger-grid") return TwoShots(ranks, 4, 8), 0;
  if (mode == "smaller-grid") return TwoShots(ranks, 8, 4), 0;
  if (mode == "too-large") return TooLarge(ranks), 0;
  const auto replayed = [](auto& on, auto work) { Replayed(on, work); };
  const auto eager = [](auto& on, auto work) { OnBoth(on, work); };
  if (mode == "fewer-tokens") return FewerTokens(ranks, replayed, 4, {4, 3}), 0;
  if (mode == "fewer-tokens-eager") return FewerTokens(ranks, eager, 4, {4, 3}), 0;
  if (mode == "fewer-tokens-then-more") return FewerTokens(ranks, replayed, 3, {8, 8}), 0;
  Fail("no mode \"" + mode + "\"");
}
