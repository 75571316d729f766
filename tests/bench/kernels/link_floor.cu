// What no all-reduce between two GPUs can be faster than, on this machine: an empty kernel node in
// a CUDA graph, a flag's way to a peer, and the bytes that stores carry over the link while the
// other GPU sends as much. Prints one line of JSON. No NVLink multicast.
//
// Exit status: 0 measured, 1 something failed, 77 there are not two GPUs that reach each other.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr int kExitNoGpus = 77;
constexpr int kNodes = 64;
constexpr int kRepeats = 21;
constexpr unsigned kTrips = 2000;
constexpr size_t kBytes = size_t{256} << 20;
constexpr unsigned long long kPatienceNs = 5'000'000'000;

void Check(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(code));
}

__global__ void Empty() {}

__device__ unsigned long long Now() {
  unsigned long long now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

// A flag goes to and fro: whoever is first sends 1, awaits 1, sends 2, …. Gives up when the peer
// does not answer, so that nothing is left spinning.
__global__ void PingPong(volatile unsigned* own, volatile unsigned* peer, bool first) {
  const unsigned long long end = Now() + kPatienceNs;
  for (unsigned trip = 1; trip <= kTrips; ++trip) {
    if (first) *peer = trip;
    while (*own != trip) {
      if (Now() > end) return;
    }
    if (!first) *peer = trip;
  }
}

__global__ void Send(uint4* peer, size_t count) {
  const size_t step = size_t{gridDim.x} * blockDim.x;
  for (size_t i = size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    asm volatile("st.volatile.global.v4.u32 [%0], {%1, %1, %1, %1};" ::"l"(peer + i),
                 "r"(static_cast<unsigned>(i))
                 : "memory");
  }
}

// One of the two GPUs, current when it is entered.
struct Side {
  explicit Side(int number) : device(number) {
    Enter();
    const cudaError_t code = cudaDeviceEnablePeerAccess(1 - device, 0);
    if (code != cudaErrorPeerAccessAlreadyEnabled) Check(code, "cudaDeviceEnablePeerAccess");
    Check(cudaMalloc(&memory, kBytes), "cudaMalloc");
    Check(cudaMemset(memory, 0, kBytes), "cudaMemset");
    Check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    Check(cudaEventCreate(&begin), "cudaEventCreate");
    Check(cudaEventCreate(&end), "cudaEventCreate");
    Check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  void Enter() const { Check(cudaSetDevice(device), "cudaSetDevice"); }
  float Milliseconds() const {
    Enter();
    Check(cudaEventSynchronize(end), "cudaEventSynchronize");
    float time = 0;
    Check(cudaEventElapsedTime(&time, begin, end), "cudaEventElapsedTime");
    return time;
  }

  int device;
  void* memory = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;
};

float Median(std::vector<float> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// `launch(side, peer)` on both GPUs; the slower one's time, in milliseconds.
template <class Launch>
float Together(const Side (&sides)[2], Launch launch) {
  std::vector<float> times;
  for (int i = 0; i < kRepeats; ++i) {
    for (const Side& side : sides) {
      side.Enter();
      Check(cudaEventRecord(side.begin, side.stream), "cudaEventRecord");
      launch(side, sides[1 - side.device]);
      Check(cudaEventRecord(side.end, side.stream), "cudaEventRecord");
    }
    times.push_back(std::max(sides[0].Milliseconds(), sides[1].Milliseconds()));
    for (const Side& side : sides) {
      side.Enter();
      Check(cudaMemsetAsync(side.memory, 0, 4, side.stream), "cudaMemsetAsync");
      Check(cudaStreamSynchronize(side.stream), "cudaStreamSynchronize");
    }
  }
  return Median(times);
}

void LaunchEmpty(cudaStream_t stream, bool programmatic) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = programmatic;
  cudaLaunchConfig_t config{};
  config.gridDim = config.blockDim = dim3(1);
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  Check(cudaLaunchKernelEx(&config, Empty), "launch");
}

float NodeMicroseconds(const Side& side, bool programmatic) {
  side.Enter();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  Check(cudaStreamBeginCapture(side.stream, cudaStreamCaptureModeThreadLocal), "capture");
  for (int i = 0; i < kNodes; ++i) LaunchEmpty(side.stream, programmatic);
  Check(cudaStreamEndCapture(side.stream, &graph), "capture");
  Check(cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
  std::vector<float> times;
  for (int i = 0; i < 2 * kRepeats; ++i) {
    Check(cudaEventRecord(side.begin, side.stream), "cudaEventRecord");
    Check(cudaGraphLaunch(exec, side.stream), "cudaGraphLaunch");
    Check(cudaEventRecord(side.end, side.stream), "cudaEventRecord");
    const float time = side.Milliseconds();
    if (i >= kRepeats) times.push_back(time);
  }
  Check(cudaGraphExecDestroy(exec), "cudaGraphExecDestroy");
  Check(cudaGraphDestroy(graph), "cudaGraphDestroy");
  return Median(times) * 1000 / kNodes;
}

int Run() {
  int count = 0, reach = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count < 2 ||
      cudaDeviceCanAccessPeer(&reach, 0, 1) != cudaSuccess || reach == 0) {
    std::printf("SKIPPED: there are no two GPUs here that reach each other's memory\n");
    return kExitNoGpus;
  }
  const Side sides[2] = {Side(0), Side(1)};
  const float trips = Together(sides, [](const Side& side, const Side& peer) {
    PingPong<<<1, 1, 0, side.stream>>>(static_cast<unsigned*>(side.memory),
                                       static_cast<unsigned*>(peer.memory), side.device == 0);
  });
  const float send = Together(sides, [](const Side& side, const Side& peer) {
    Send<<<264, 1024, 0, side.stream>>>(static_cast<uint4*>(peer.memory), kBytes / sizeof(uint4));
  });
  const float plain = NodeMicroseconds(sides[0], false);
  const float programmatic = NodeMicroseconds(sides[0], true);
  std::printf(
      "{\"graph_node_us\": %.3f, \"programmatic_node_us\": %.3f, \"flag_us\": %.3f, "
      "\"link_gb_per_s\": %.1f}\n",
      plain, programmatic, trips * 1000 / kTrips / 2, kBytes / send / 1e6);
  return 0;
}

}  // namespace

int main() try {
  // A kernel that is first launched while a peer's waits for it would be loaded behind that one.
  setenv("CUDA_MODULE_LOADING", "EAGER", 1);
  return Run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "link_floor: %s\n", error.what());
  return 1;
}
