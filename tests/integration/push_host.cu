// A host with two ranks in one process that launches SGLang's one-shot push kernel, eagerly and in
// graphs, rightly and with a fault.
//
// usage: push_host MODE: results, eager, fewer, fewer-eager, absent. The simulated device executes
// the kernel; its body here is empty, so a GPU is no place for this program. It exits with 3 where
// the ranks stand still.
#include <cuda_runtime.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

struct __align__(2) __nv_bfloat16;

// Names and parameters as SGLang 0.5.23 has them
// (kernels/jit/csrc/distributed/custom_all_reduce.cuh).
namespace sglang {

struct PushWorkSpace {
  std::array<uint8_t*, 2> workspaces;
  uint32_t* counter;
  uint8_t* mc_workspace;
  uint32_t slot_bytes;
};

template <uint32_t kWorldSize>
struct AllReducePushParams {
  const void* input;
  void* output;
  uint32_t num_vecs;
  uint32_t rank;
  PushWorkSpace ws;
};

template <typename T, uint32_t kWorldSize, bool kUsePDL>
__global__ void all_reduce_1shot_push_kernel(const AllReducePushParams<kWorldSize>) {}

}  // namespace sglang

namespace {

constexpr uint32_t kWorld = 2;
constexpr uint32_t kBlocks = 16;  // more than the evidence holds counters
constexpr uint32_t kVectors = 64;
constexpr uint32_t kSlotBytes = kVectors * 16 * 2;
constexpr uint32_t kLayers = 3;
constexpr auto kLimit = std::chrono::seconds(12);

void Fail(const std::string& problem) {
  std::fprintf(stderr, "push_host: %s\n", problem.c_str());
  std::exit(1);
}

void Check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) Fail(std::string(call) + ": " + cudaGetErrorString(status));
}
#define CHECK(call) Check(call, #call)

template <class T>
T* Zeros(size_t count) {
  void* memory = nullptr;
  CHECK(cudaMalloc(&memory, count * sizeof(T)));
  CHECK(cudaMemset(memory, 0, count * sizeof(T)));
  return static_cast<T*>(memory);
}

struct Rank {
  uint32_t rank = 0;
  cudaStream_t stream = nullptr;
  uint8_t* plane = Zeros<uint8_t>(2 * kWorld * kSlotBytes);
  uint32_t* counters = Zeros<uint32_t>(kBlocks);
  uint32_t* input = Zeros<uint32_t>(kVectors * 4);
  uint32_t* output = Zeros<uint32_t>(kVectors * 4);
  cudaGraphExec_t exec = nullptr;
};
using Ranks = std::array<Rank, kWorld>;

// 1 and 2 as bf16, and every eighth word +0 at both.
std::vector<uint32_t> Given(uint32_t rank) {
  std::vector<uint32_t> words(kVectors * 4, rank == 0 ? 0x3f803f80 : 0x40004000);
  for (size_t i = 0; i < words.size(); i += 8) words[i] = 0;
  return words;
}

Ranks MakeRanks() {
  Ranks ranks;
  for (uint32_t i = 0; i < kWorld; ++i) {
    ranks[i].rank = i;
    CHECK(cudaStreamCreateWithFlags(&ranks[i].stream, cudaStreamNonBlocking));
    const std::vector<uint32_t> given = Given(i);
    CHECK(cudaMemcpy(ranks[i].input, given.data(), given.size() * 4, cudaMemcpyHostToDevice));
  }
  return ranks;
}

void AllReduce(const Ranks& ranks, const Rank& rank, uint32_t vectors) {
  sglang::AllReducePushParams<kWorld> params{rank.input, rank.output, vectors, rank.rank, {}};
  params.ws = {{ranks[0].plane, ranks[1].plane}, rank.counters, nullptr, kSlotBytes};
  sglang::all_reduce_1shot_push_kernel<__nv_bfloat16, kWorld, true>
      <<<kBlocks, 32, 0, rank.stream>>>(params);
  CHECK(cudaGetLastError());
}

void Capture(const Ranks& ranks, Rank* rank, uint32_t vectors) {
  CHECK(cudaStreamBeginCapture(rank->stream, cudaStreamCaptureModeThreadLocal));
  for (uint32_t layer = 0; layer < kLayers; ++layer) AllReduce(ranks, *rank, vectors);
  cudaGraph_t graph = nullptr;
  CHECK(cudaStreamEndCapture(rank->stream, &graph));
  CHECK(cudaGraphInstantiate(&rank->exec, graph, 0));
}

void Await(const Ranks& ranks) {
  const auto end = std::chrono::steady_clock::now() + kLimit;
  for (const Rank& rank : ranks) {
    while (cudaStreamQuery(rank.stream) == cudaErrorNotReady) {
      if (std::chrono::steady_clock::now() > end) std::_Exit(3);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  cudaGetLastError();  // a stream that was not ready left one
}

void CheckResults(const Ranks& ranks) {
  for (const Rank& rank : ranks) {
    std::vector<uint32_t> sums(kVectors * 4);
    CHECK(cudaMemcpy(sums.data(), rank.output, sums.size() * 4, cudaMemcpyDeviceToHost));
    for (size_t i = 0; i < sums.size(); ++i) {
      const uint32_t expected = i % 8 == 0 ? 0 : 0x40404040;
      if ((sums[i] & 0x7fff7fff) != expected) Fail("word " + std::to_string(i) + " is wrong");
    }
  }
}

void Eager(const Ranks& ranks, uint32_t vectors_of_rank_1) {
  for (int call = 0; call < 5; ++call) {
    for (const Rank& rank : ranks) AllReduce(ranks, rank, kVectors);
    Await(ranks);
    CheckResults(ranks);
  }
  if (vectors_of_rank_1 == kVectors) return;
  AllReduce(ranks, ranks[0], kVectors);
  AllReduce(ranks, ranks[1], vectors_of_rank_1);
  Await(ranks);
}

void Replay(const Ranks& ranks, bool second_too) {
  CHECK(cudaGraphLaunch(ranks[0].exec, ranks[0].stream));
  if (second_too) CHECK(cudaGraphLaunch(ranks[1].exec, ranks[1].stream));
  Await(ranks);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const std::string mode = argv[1];
  CHECK(cudaFree(nullptr));
  Ranks ranks = MakeRanks();
  if (mode == "eager") return Eager(ranks, kVectors), 0;
  if (mode == "fewer-eager") return Eager(ranks, kVectors - 1), 0;
  Eager(ranks, kVectors);
  for (Rank& rank : ranks) Capture(ranks, &rank, kVectors);
  for (int replay = 0; replay < 6; ++replay) {
    Replay(ranks, true);
    CheckResults(ranks);
  }
  if (mode == "absent") {
    Replay(ranks, false);
  } else if (mode == "fewer") {
    Capture(ranks, &ranks[1], kVectors - 1);
    Replay(ranks, true);
  } else if (mode != "results") {
    Fail("no mode \"" + mode + "\"");
  }
  return 0;
}
