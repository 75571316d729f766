// An engine that links liblamplight_kernels: ranks as processes, eager calls, graphs built in all
// the ways that a host may build them, and a rank that stops at a known place.
//
// usage: engine_host MODE PROTOCOL ALGORITHM WORLD; the modes are those of main() below. Every rank
// prints what it finds wrong and ends with 1; a hang is cut off after a few seconds with 3.
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "green_stream.h"
#include "lamplight/collective.h"

namespace {

constexpr uint32_t kHidden = 72;  // not a whole number of lines of the epoch protocol
constexpr uint32_t kTokens = 5;
constexpr uint32_t kMaxTokens = 8;
constexpr uint32_t kMaxWorld = 4;
constexpr uint32_t kCalls = 4;  // in one graph
constexpr int kOk = 0, kWrong = 1, kHang = 3;

// What the processes share: an all-gather's board.
struct Board {
  pthread_barrier_t barrier;
  unsigned char bytes[kMaxWorld * 8192];
};

struct Seat {
  Board* board;
  uint32_t rank;
  uint32_t world;

  void Meet() const { pthread_barrier_wait(&board->barrier); }
};

int AllGather(void* context, const void* send, size_t bytes, void* receive) {
  const Seat& seat = *static_cast<Seat*>(context);
  if (seat.world * bytes > sizeof seat.board->bytes) return 1;
  std::memcpy(seat.board->bytes + seat.rank * bytes, send, bytes);
  seat.Meet();
  std::memcpy(receive, seat.board->bytes, seat.world * bytes);
  seat.Meet();
  return 0;
}

void Fail(const std::string& problem) {
  std::fprintf(stderr, "engine_host: %s\n", problem.c_str());
  std::_Exit(kWrong);
}

void Check(cudaError_t status, const char* call) {
  if (status != cudaSuccess) Fail(std::string(call) + ": " + cudaGetErrorString(status));
}
#define CHECK(call) Check(call, #call)

void CheckOurs(lamplight_status status, const char* call) {
  char text[512] = "";
  if (status == LAMPLIGHT_OK) return;
  lamplight_last_error(text, sizeof text);
  Fail(std::string(call) + ": " + text);
}
#define CHECK_OURS(call) CheckOurs(call, #call)

struct Choice {
  uint32_t protocol;
  uint32_t algorithm;
};

class Rank {
 public:
  Rank(const Seat& seat, const Choice& choice) : seat_(seat), choice_(choice) {
    CHECK(cudaSetDevice(0));
    CHECK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    NewWorkspace();
    const std::vector<float> ones(kMaxTokens * kHidden, static_cast<float>(seat.rank + 1));
    CHECK(cudaMalloc(reinterpret_cast<void**>(&input_), Bytes()));
    CHECK(cudaMalloc(reinterpret_cast<void**>(&output_), Bytes()));
    CHECK(cudaMemcpy(input_, ones.data(), Bytes(), cudaMemcpyHostToDevice));
  }

  // Calls from here on are on it. Returns the one before.
  lamplight_workspace* NewWorkspace() {
    lamplight_workspace* const before = workspace_;
    lamplight_workspace_options options = LAMPLIGHT_WORKSPACE_OPTIONS_INIT;
    options.world = seat_.world;
    options.rank = seat_.rank;
    options.all_gather = AllGather;
    options.all_gather_context = &seat_;
    options.max_tokens = kMaxTokens;
    options.max_hidden = kHidden;
    options.dtype = LAMPLIGHT_FP32;
    options.protocol = choice_.protocol;
    options.generation_bytes = 1 << 16;
    CHECK_OURS(lamplight_workspace_create(&options, &workspace_));
    return before;
  }
  lamplight_workspace* workspace() { return workspace_; }

  void Call(uint32_t tokens) {
    lamplight_call call = LAMPLIGHT_CALL_INIT;
    call.input = input_;
    call.output = output_;
    call.tokens = tokens;
    call.hidden = kHidden;
    call.dtype = LAMPLIGHT_FP32;
    call.algorithm = choice_.algorithm;
    CHECK_OURS(lamplight_all_reduce(workspace_, &call, stream_));
  }

  // One call for each entry of `tokens`.
  cudaGraph_t Capture(const std::vector<uint32_t>& tokens) {
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
    for (const uint32_t own : tokens) Call(own);
    CHECK(cudaStreamEndCapture(stream_, &graph));
    return graph;
  }
  cudaGraph_t Capture(uint32_t calls, uint32_t tokens) {
    return Capture(std::vector<uint32_t>(calls, tokens));
  }

  void Replay(cudaGraphExec_t exec, int times) {
    for (int i = 0; i < times; ++i) CHECK(cudaGraphLaunch(exec, stream_));
    Settle();
  }

  void Settle() {
    CHECK(cudaStreamSynchronize(stream_));
    float first = 0;
    CHECK(cudaMemcpy(&first, output_, sizeof first, cudaMemcpyDeviceToHost));
    const uint32_t sum = seat_.world * (seat_.world + 1) / 2;
    if (first != static_cast<float>(sum)) {
      Fail("sum " + std::to_string(first) + " instead of " + std::to_string(sum));
    }
    CHECK(cudaMemset(output_, 0xff, Bytes()));
  }

  void ExpectNaN() {
    CHECK(cudaStreamSynchronize(stream_));
    float first = 0;
    CHECK(cudaMemcpy(&first, output_, sizeof first, cudaMemcpyDeviceToHost));
    if (!std::isnan(first)) Fail("the result of a divergence is " + std::to_string(first));
  }

  void Use(cudaStream_t stream) { stream_ = stream; }
  cudaStream_t stream() const { return stream_; }
  const Seat& seat() const { return seat_; }

 private:
  static constexpr size_t Bytes() { return kMaxTokens * kHidden * sizeof(float); }

  Seat seat_;
  Choice choice_;
  cudaStream_t stream_ = nullptr;
  lamplight_workspace* workspace_ = nullptr;
  float* input_ = nullptr;
  float* output_ = nullptr;
};

std::vector<cudaGraphNode_t> Nodes(cudaGraph_t graph) {
  size_t count = 0;
  CHECK(cudaGraphGetNodes(graph, nullptr, &count));
  std::vector<cudaGraphNode_t> nodes(count);
  CHECK(cudaGraphGetNodes(graph, nodes.data(), &count));
  return nodes;
}

cudaKernelNodeParams ParametersOf(cudaGraphNode_t node) {
  cudaKernelNodeParams parameters{};
  CHECK(cudaGraphKernelNodeGetParams(node, &parameters));
  return parameters;
}

constexpr size_t kArgumentBytes = 264;

// The one argument of each kernel of a graph, byte for byte.
std::string ArgumentsOf(cudaGraph_t graph) {
  std::string bytes;
  for (const cudaGraphNode_t node : Nodes(graph)) {
    bytes.append(static_cast<const char*>(ParametersOf(node).kernelParams[0]), kArgumentBytes);
  }
  return bytes;
}

cudaGraphExec_t Instantiate(cudaGraph_t graph) {
  const std::string before = ArgumentsOf(graph);
  cudaGraphExec_t exec = nullptr;
  CHECK(cudaGraphInstantiate(&exec, graph, 0));
  if (ArgumentsOf(graph) != before) Fail("instantiating has changed the graph");
  return exec;
}

// ---------------------------------------------------------------- modes

// 3 eager calls; exec 1: 6 replays, exec 2 of the same graph: 4, in turn; exec 3: 2.
void Healthy(Rank& rank) {
  for (int i = 0; i < 3; ++i) rank.Call(kTokens);
  rank.Settle();
  const cudaGraph_t graph = rank.Capture(kCalls, kTokens);
  const cudaGraphExec_t first = Instantiate(graph);
  const cudaGraphExec_t second = Instantiate(graph);
  rank.Replay(first, 2);
  rank.Replay(second, 4);
  rank.Replay(first, 4);
  rank.Replay(Instantiate(rank.Capture(kCalls, kMaxTokens)), 2);
}

// exec 1: 2 replays, an update, 2 replays, new parameters of node 1, 2 replays, of node 2 by the
// other call, and packed, 2 replays.
void Update(Rank& rank) {
  const cudaGraph_t graph = rank.Capture(kCalls, kTokens);
  const cudaGraph_t other = rank.Capture(kCalls, kMaxTokens);
  const std::string before = ArgumentsOf(other);
  const cudaGraphExec_t exec = Instantiate(graph);
  rank.Replay(exec, 2);
  cudaGraphExecUpdateResultInfo result{};
  CHECK(cudaGraphExecUpdate(exec, other, &result));
  if (ArgumentsOf(other) != before) Fail("an update has changed the graph");
  rank.Replay(exec, 2);
  const cudaKernelNodeParams parameters = ParametersOf(Nodes(other)[1]);
  CHECK(cudaGraphExecKernelNodeSetParams(exec, Nodes(graph)[1], &parameters));
  if (ArgumentsOf(other) != before) Fail("new parameters have changed the graph they came from");
  rank.Replay(exec, 2);
  cudaGraphNodeParams generic{};
  generic.type = cudaGraphNodeTypeKernel;
  generic.kernel.func = parameters.func;
  generic.kernel.gridDim = parameters.gridDim;
  generic.kernel.blockDim = parameters.blockDim;
  generic.kernel.sharedMemBytes = parameters.sharedMemBytes;
  size_t bytes = kArgumentBytes;
  void* packed[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, parameters.kernelParams[0],
                    CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  generic.kernel.extra = packed;
  CHECK(cudaGraphExecNodeSetParams(exec, Nodes(graph)[2], &generic));
  if (ArgumentsOf(other) != before) Fail("generic parameters have changed their graph");
  rank.Replay(exec, 2);
}

// exec 1: 3 replays of a graph with a child graph and one call behind it.
void Child(Rank& rank) {
  const cudaGraph_t child = rank.Capture(kCalls - 1, kTokens);
  const std::string before = ArgumentsOf(child);
  cudaGraph_t outer = rank.Capture(1, kTokens);
  const cudaGraphNode_t call = Nodes(outer)[0];
  cudaGraphNode_t node = nullptr;
  CHECK(cudaGraphAddChildGraphNode(&node, outer, &call, 1, child));
  cudaGraphExec_t exec = nullptr;
  CHECK(cudaGraphInstantiate(&exec, outer, 0));
  if (ArgumentsOf(child) != before) Fail("instantiating has changed the child graph");
  rank.Replay(exec, 3);
}

// 3 eager calls on a stream of a green context, which is `current` or not; exec 1: 6 replays.
void Green(Rank& rank, bool current) {
  rank.Use(engine::GreenStream(current));
  for (int i = 0; i < 3; ++i) rank.Call(kTokens);
  rank.Settle();
  rank.Replay(Instantiate(rank.Capture(kCalls, kTokens)), 6);
}

// exec 1: 2 replays, 2 with node 1 disabled, 2 with it enabled again.
void Disable(Rank& rank) {
  const cudaGraph_t graph = rank.Capture(kCalls, kTokens);
  const cudaGraphExec_t exec = Instantiate(graph);
  for (const unsigned enabled : {1u, 0u, 1u}) {
    CHECK(cudaGraphNodeSetEnabled(exec, Nodes(graph)[1], enabled));
    rank.Replay(exec, 2);
  }
}

// exec 1: 2 replays, an update to a graph on another workspace, 2 replays, and 1 when the first
// workspace is gone.
void Move(Rank& rank) {
  const cudaGraphExec_t exec = Instantiate(rank.Capture(kCalls, kTokens));
  rank.Replay(exec, 2);
  lamplight_workspace* const first = rank.NewWorkspace();
  cudaGraphExecUpdateResultInfo result{};
  CHECK(cudaGraphExecUpdate(exec, rank.Capture(kCalls, kTokens), &result));
  rank.Replay(exec, 2);
  CHECK_OURS(lamplight_workspace_destroy(first));
  rank.Replay(exec, 1);
}

// exec 1: 2 replays, its child graph exchanged for one on another workspace, 2 replays, and 1 when
// the first workspace is gone.
void ExchangeChild(Rank& rank) {
  cudaGraph_t outer = nullptr;
  cudaGraphNode_t node = nullptr;
  cudaGraphExec_t exec = nullptr;
  CHECK(cudaGraphCreate(&outer, 0));
  CHECK(cudaGraphAddChildGraphNode(&node, outer, nullptr, 0, rank.Capture(kCalls, kTokens)));
  CHECK(cudaGraphInstantiate(&exec, outer, 0));
  rank.Replay(exec, 2);
  lamplight_workspace* const first = rank.NewWorkspace();
  CHECK(cudaGraphExecChildGraphNodeSetParams(exec, node, rank.Capture(kCalls, kTokens)));
  rank.Replay(exec, 2);
  CHECK_OURS(lamplight_workspace_destroy(first));
  rank.Replay(exec, 1);
}

// exec 1: 2 replays, 1 with all nodes disabled, 2 with them enabled again, and 1 with them disabled
// when the workspace is gone.
void DisableAll(Rank& rank) {
  const cudaGraph_t graph = rank.Capture(kCalls, kTokens);
  const cudaGraphExec_t exec = Instantiate(graph);
  const auto enable = [&](unsigned enabled) {
    for (const cudaGraphNode_t node : Nodes(graph)) {
      CHECK(cudaGraphNodeSetEnabled(exec, node, enabled));
    }
  };
  const auto replay_nothing = [&] {
    CHECK(cudaGraphLaunch(exec, rank.stream()));
    CHECK(cudaStreamSynchronize(rank.stream()));
  };
  rank.Replay(exec, 2);
  enable(0);
  replay_nothing();
  enable(1);
  rank.Replay(exec, 2);
  enable(0);
  CHECK_OURS(lamplight_workspace_destroy(rank.workspace()));
  replay_nothing();
}

// exec 1: 2 replays; somebody cuts the trace's file, so that the shim records no more; an update, 2
// replays. exec 2, from then, is updated as well.
void LoseTrace(Rank& rank) {
  const cudaGraph_t graph = rank.Capture(kCalls, kTokens);
  const cudaGraph_t other = rank.Capture(kCalls, kMaxTokens);
  const cudaGraphExec_t exec = Instantiate(graph);
  rank.Replay(exec, 2);
  if (const char* folder = std::getenv("LAMPLIGHT_DIR")) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string own = "-" + std::to_string(getpid()) + "-";
      if (entry.path().filename().string().find(own) == std::string::npos) continue;
      std::filesystem::resize_file(entry, 0);
    }
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  cudaGraphExecUpdateResultInfo result{};
  for (const cudaGraphExec_t updated : {exec, Instantiate(graph)}) {
    CHECK(cudaGraphExecUpdate(updated, other, &result));
    rank.Replay(updated, 2);
    CHECK(cudaGraphExecUpdate(updated, graph, &result));
    rank.Replay(updated, 2);
    CHECK(cudaGraphExecDestroy(updated));
  }
}

// Graphs that are replayed once and destroyed, with more calls than the shim has marks for; exec
// ids from 1 on, and then those of StopInside.
void Recapture(Rank& rank) {
  constexpr uint32_t kWide = 64, kGraphs = 352, kRounds = 3;
  static_assert(kWide * kGraphs * kRounds > 1u << 16);
  const cudaGraph_t graph = rank.Capture(kWide, 1);
  for (uint32_t round = 0; round < kRounds; ++round) {
    for (uint32_t i = 0; i < kGraphs; ++i) {
      cudaGraphExec_t exec = nullptr;
      CHECK(cudaGraphInstantiate(&exec, graph, 0));
      rank.Replay(exec, 1);
      CHECK(cudaGraphExecDestroy(exec));
    }
    // Until the shim lets go of destroyed execs.
    std::this_thread::sleep_for(std::chrono::seconds(8));
  }
}

[[noreturn]] void EndInAWhile(int status) {
  std::this_thread::sleep_for(std::chrono::seconds(5));
  std::_Exit(status);
}

// All make `common` calls in the third replay of a graph, and then rank 1 makes no more.
void StopInside(Rank& rank, const std::vector<uint32_t>& tokens, uint32_t common) {
  const cudaGraphExec_t all = Instantiate(rank.Capture(tokens));
  const cudaGraphExec_t some = Instantiate(rank.Capture({tokens.begin(), tokens.begin() + common}));
  rank.Replay(all, 2);
  const bool stops = rank.seat().rank == 1;
  CHECK(cudaGraphLaunch(stops ? some : all, rank.stream()));
  EndInAWhile(stops ? kOk : kHang);
}

void StopEager(Rank& rank) {
  for (int i = 0; i < 3; ++i) rank.Call(kTokens);
  rank.Settle();
  if (rank.seat().rank == 1) EndInAWhile(kOk);
  rank.Call(kTokens);
  EndInAWhile(kHang);
}

// Rank 1 makes another call than the others, and the last rank none, so that the others hang.
void Diverge(Rank& rank) {
  const uint32_t own = rank.seat().rank;
  const cudaGraphExec_t exec = Instantiate(rank.Capture(1, own == 1 ? kTokens + 1 : kTokens));
  rank.Call(kTokens);
  rank.Settle();
  if (own + 1 < rank.seat().world) CHECK(cudaGraphLaunch(exec, rank.stream()));
  EndInAWhile(kHang);
}

// Rank 1 makes another call than the others: all go on, with results that are no numbers.
void DivergeAndGoOn(Rank& rank) {
  rank.Call(kTokens);
  rank.Settle();
  rank.Call(rank.seat().rank == 1 ? kTokens + 1 : kTokens);
  rank.ExpectNaN();
}

void DivergeAndDie(Rank& rank) {
  DivergeAndGoOn(rank);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  raise(SIGKILL);
}

void Run(const std::string& mode, Rank& rank) {
  if (mode == "diverge-and-go-on") return DivergeAndGoOn(rank);
  if (mode == "diverge-and-die") return DivergeAndDie(rank);
  if (mode == "healthy") return Healthy(rank);
  if (mode == "update") return Update(rank);
  if (mode == "child") return Child(rank);
  if (mode == "disable") return Disable(rank);
  if (mode == "disable-all") return DisableAll(rank);
  if (mode == "move") return Move(rank);
  if (mode == "exchange-child") return ExchangeChild(rank);
  if (mode == "lose-trace") return LoseTrace(rank);
  if (mode == "green") return Green(rank, false);
  if (mode == "green-current") return Green(rank, true);
  const std::vector<uint32_t> alike(kCalls, kTokens);
  if (mode == "stop-inside") return StopInside(rank, alike, 2);
  if (mode == "recapture") {
    Recapture(rank);
    return StopInside(rank, alike, 2);
  }
  if (mode == "stop-sizes") return StopInside(rank, {kTokens, kMaxTokens, 3, kTokens}, 2);
  if (mode == "stop-eager") return StopEager(rank);
  if (mode == "diverge") return Diverge(rank);
  Fail("no mode \"" + mode + "\"");
}

Board* MakeBoard(uint32_t world) {
  void* shared =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* board = static_cast<Board*>(shared);
  pthread_barrierattr_t attributes;
  pthread_barrierattr_init(&attributes);
  pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_barrier_init(&board->barrier, &attributes, world);
  return board;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 64;
  const Choice choice{
      std::string(argv[2]) == "epoch" ? LAMPLIGHT_PROTOCOL_EPOCH : LAMPLIGHT_PROTOCOL_MNNVL,
      std::string(argv[3]) == "one-shot" ? LAMPLIGHT_ALGORITHM_ONE_SHOT
                                         : LAMPLIGHT_ALGORITHM_TWO_SHOT};
  const auto world = static_cast<uint32_t>(std::atoi(argv[4]));
  Board* board = MakeBoard(world);
  // CUDA begins in the children: a child forked after the first call could make none.
  for (uint32_t rank = 0; rank < world; ++rank) {
    if (fork() != 0) continue;
    alarm(60);
    const Seat seat{board, rank, world};
    {
      Rank own(seat, choice);
      Run(argv[1], own);
      seat.Meet();
    }
    std::exit(kOk);
  }
  int worst = kOk;
  for (uint32_t rank = 0; rank < world; ++rank) {
    int status = 0;
    wait(&status);
    worst = std::max(worst, WIFEXITED(status) ? WEXITSTATUS(status) : 100);
  }
  return worst;
}
