// A host that looks closely at its own graphs. It prints the same lines with and without the shim.
//
// The kernel carries the name and parameters of FlashInfer's era C one-shot kernel, so that the
// shim adds nodes to these graphs; it is captured and never launched.
#include <cuda_runtime.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

struct __align__(2) __nv_bfloat16;

namespace flashinfer::trtllm_mnnvl_allreduce {

template <uint8_t WorldSize, typename T, bool RMSNormFusion, typename PackedType>
__global__ void oneshotAllreduceFusionKernel(T*, T*, T const*, T const*, T const*, T**, T*, int,
                                             int, float, int, uint32_t*) {}

}  // namespace flashinfer::trtllm_mnnvl_allreduce

namespace {

using T = __nv_bfloat16;

void Check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", call, cudaGetErrorString(status));
  std::exit(2);
}
#define CHECK(call) Check(call, #call)

struct Host {
  cudaStream_t stream = nullptr;
  T* values = nullptr;
  uint32_t* flags = nullptr;
  T** peers = nullptr;

  Host() {
    CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CHECK(cudaMalloc(&values, 1 << 16));
    CHECK(cudaMalloc(&flags, 64));
    CHECK(cudaMalloc(&peers, 64));
  }

  void* Function() const {
    return reinterpret_cast<void*>(
        flashinfer::trtllm_mnnvl_allreduce::oneshotAllreduceFusionKernel<2, T, true, float4>);
  }

  // Parameters of a call; Pointers() points into the object.
  struct Arguments {
    T* data;
    T** peers;
    int tokens;
    int dim = 64;
    float epsilon = 1e-5f;
    int rank = 0;
    uint32_t* flags;
    std::vector<void*> Pointers() {
      return {&data, &data,   &data, &data,    &data, &peers,
              &data, &tokens, &dim,  &epsilon, &rank, &flags};
    }
  };
  Arguments MakeArguments(int tokens) const { return {values, peers, tokens, 64, 1e-5f, 0, flags}; }

  cudaGraph_t Capture(int calls, int tokens) const {
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < calls; ++i) {
      Arguments arguments = MakeArguments(tokens);
      CHECK(cudaLaunchKernel(Function(), dim3(tokens), dim3(32), arguments.Pointers().data(), 0,
                             stream));
    }
    CHECK(cudaStreamEndCapture(stream, &graph));
    return graph;
  }
};

std::vector<cudaGraphNode_t> Nodes(cudaGraph_t graph) {
  size_t count = 0;
  CHECK(cudaGraphGetNodes(graph, nullptr, &count));
  std::vector<cudaGraphNode_t> nodes(count);
  if (count > 0) CHECK(cudaGraphGetNodes(graph, nodes.data(), &count));
  return nodes;
}

void Print(const char* what, cudaGraph_t graph) {
  size_t roots = 0;
  CHECK(cudaGraphGetRootNodes(graph, nullptr, &roots));
  std::printf("%s: %zu nodes, %zu roots, last error %d\n", what, Nodes(graph).size(), roots,
              int{cudaPeekAtLastError()});
}

void TryUpdate(const char* what, cudaGraphExec_t exec, cudaGraph_t graph) {
  cudaGraphExecUpdateResultInfo info{};
  const cudaError_t status = cudaGraphExecUpdate(exec, graph, &info);
  std::printf("%s: status %d, result %d\n", what, int{status}, int{info.result});
  cudaGetLastError();
  Print(what, graph);
}

}  // namespace

int main() {
  const Host host;
  const cudaGraph_t first = host.Capture(3, 8);
  Print("captured", first);
  cudaGraphExec_t exec = nullptr;
  CHECK(cudaGraphInstantiate(&exec, first, 0));
  Print("instantiated", first);

  TryUpdate("update with the same shape", exec, host.Capture(3, 16));
  TryUpdate("update with another shape", exec, host.Capture(2, 16));

  Host::Arguments arguments = host.MakeArguments(32);
  std::vector<void*> pointers = arguments.Pointers();
  cudaKernelNodeParams parameters{};
  parameters.func = host.Function();
  parameters.gridDim = dim3(32);
  parameters.blockDim = dim3(32);
  parameters.kernelParams = pointers.data();
  std::printf("node parameters: status %d\n",
              int{cudaGraphExecKernelNodeSetParams(exec, Nodes(first)[1], &parameters)});

  cudaGraphInstantiateParams with{};
  cudaGraphExec_t second = nullptr;
  std::printf("instantiate with parameters: status %d, result %d\n",
              int{cudaGraphInstantiateWithParams(&second, first, &with)}, int{with.result_out});
  Print("instantiated twice", first);
  std::printf("instantiate nothing: status %d\n", int{cudaGraphInstantiate(&second, nullptr, 0)});
  std::printf("last error %d\n", int{cudaGetLastError()});
  CHECK(cudaGraphExecDestroy(exec));
  CHECK(cudaGraphDestroy(first));
  std::puts("done");
  return 0;
}
