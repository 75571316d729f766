// A minimal engine: two processes, one rank each, that capture a graph of four layers, each a call
// of all-reduce + residual + RMSNorm, and replay it. Prints "2 ranks agree" and returns 0.
#include <cuda_runtime_api.h>
#include <lamplight/collective.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr uint32_t kWorld = 2, kTokens = 4, kHidden = 1024, kLayers = 4, kReplays = 3;
constexpr size_t kBytes = kTokens * kHidden * sizeof(float);

// What the ranks have in common: an engine has MPI, or torch.distributed on a CPU group.
struct Board {
  pthread_barrier_t barrier;
  unsigned char bytes[kWorld][4096];
};
struct Seat {
  Board* board;
  uint32_t rank;
};

int AllGather(void* context, const void* send, size_t bytes, void* receive) {
  const Seat& seat = *static_cast<Seat*>(context);
  if (bytes > sizeof seat.board->bytes[0]) return 1;
  std::memcpy(seat.board->bytes[seat.rank], send, bytes);
  pthread_barrier_wait(&seat.board->barrier);
  for (uint32_t rank = 0; rank < kWorld; ++rank) {
    std::memcpy(static_cast<char*>(receive) + rank * bytes, seat.board->bytes[rank], bytes);
  }
  pthread_barrier_wait(&seat.board->barrier);
  return 0;
}

void Check(lamplight_status status) {
  if (status == LAMPLIGHT_OK) return;
  char why[1024];
  lamplight_last_error(why, sizeof why);
  std::fprintf(stderr, "%s\n", why);
  std::exit(1);
}
void Check(cudaError_t status) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "%s\n", cudaGetErrorString(status));
  std::exit(1);
}

float* Tensor(size_t elements, float value) {
  void* tensor = nullptr;
  Check(cudaMalloc(&tensor, elements * sizeof(float)));
  const std::vector<float> values(elements, value);
  Check(cudaMemcpy(tensor, values.data(), elements * sizeof(float), cudaMemcpyHostToDevice));
  return static_cast<float*>(tensor);
}

lamplight_workspace* CreateWorkspace(Seat* seat) {
  lamplight_workspace_options options = LAMPLIGHT_WORKSPACE_OPTIONS_INIT;
  options.world = kWorld;
  options.rank = seat->rank;
  options.all_gather = AllGather;
  options.all_gather_context = seat;
  options.max_tokens = kTokens;
  options.max_hidden = kHidden;
  options.dtype = LAMPLIGHT_FP32;
  options.exchange_timeout_ms = 60000;  // a rank that died is an error here, not a hang
  lamplight_workspace* workspace = nullptr;
  Check(lamplight_workspace_create(&options, &workspace));
  return workspace;
}

cudaGraphExec_t Capture(lamplight_workspace* workspace, const lamplight_call& call,
                        cudaStream_t stream) {
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  Check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    Check(lamplight_all_reduce(workspace, &call, stream));
  }
  Check(cudaStreamEndCapture(stream, &graph));
  Check(cudaGraphInstantiate(&exec, graph, 0));
  Check(cudaGraphDestroy(graph));
  return exec;
}

// Every layer adds 1 + 2 to a residual of ones; a row of equal values has the norm of ones.
bool Right(const float* residual, const float* output) {
  std::vector<float> rows(2 * kTokens * kHidden);
  Check(cudaMemcpy(rows.data(), residual, kBytes, cudaMemcpyDeviceToHost));
  Check(cudaMemcpy(&rows[kTokens * kHidden], output, kBytes, cudaMemcpyDeviceToHost));
  for (size_t i = 0; i < kTokens * kHidden; ++i) {
    if (rows[i] != 1 + 3 * kLayers * kReplays) return false;
    if (std::fabs(rows[kTokens * kHidden + i] - 0.5f) > 1e-4f) return false;
  }
  return true;
}

// An engine asks from a watchdog thread, also while a replay hangs.
bool Untroubled(lamplight_workspace* workspace) {
  lamplight_trouble trouble{};
  trouble.struct_size = sizeof trouble;
  Check(lamplight_workspace_query(workspace, &trouble));
  if (trouble.kind == LAMPLIGHT_TROUBLE_NONE) return true;
  char text[256];
  lamplight_trouble_text(&trouble, text, sizeof text);
  std::fprintf(stderr, "%s\n", text);
  return false;
}

int Run(Seat seat) {
  int devices = 0;
  Check(cudaGetDeviceCount(&devices));
  Check(cudaSetDevice(static_cast<int>(seat.rank) % devices));
  cudaStream_t stream;
  Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  lamplight_workspace* workspace = CreateWorkspace(&seat);
  float* residual = Tensor(kTokens * kHidden, 1);
  lamplight_call call = LAMPLIGHT_CALL_INIT;
  call.pattern = LAMPLIGHT_PATTERN_RESIDUAL_RMSNORM;
  call.input = Tensor(kTokens * kHidden, static_cast<float>(seat.rank + 1));
  call.residual_in = call.residual_out = residual;
  call.gamma = Tensor(kHidden, 0.5f);
  call.epsilon = 1e-6f;
  call.output = Tensor(kTokens * kHidden, 0);
  call.tokens = kTokens;
  call.hidden = kHidden;
  call.dtype = LAMPLIGHT_FP32;
  call.pdl = 1;
  const cudaGraphExec_t exec = Capture(workspace, call, stream);
  for (uint32_t replay = 0; replay < kReplays; ++replay) Check(cudaGraphLaunch(exec, stream));
  Check(cudaStreamSynchronize(stream));
  const bool right =
      Right(residual, static_cast<const float*>(call.output)) && Untroubled(workspace);
  Check(cudaGraphExecDestroy(exec));
  Check(lamplight_workspace_destroy(workspace));
  return right ? 0 : 2;
}

}  // namespace

int main() {
  void* shared =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 1;
  auto* board = static_cast<Board*>(shared);
  pthread_barrierattr_t attributes;
  pthread_barrierattr_init(&attributes);
  pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_barrier_init(&board->barrier, &attributes, kWorld);
  // Before anything of CUDA: a forked child cannot use its parent's.
  const pid_t child = fork();
  const int mine = Run({board, child == 0 ? 1u : 0u});
  if (child == 0) std::exit(mine);
  int theirs = 0;
  waitpid(child, &theirs, 0);
  if (mine != 0 || theirs != 0) return 1;
  std::puts("2 ranks agree");
  return 0;
}
