// A host that does what hosts may do, in odd ways. It prints the same lines with and without the
// shim.
//
// usage: odd_host MODE
#include <cuda_runtime_api.h>
#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

namespace {

void Print(const char* what, cudaError_t status) {
  std::printf("%s: %s\n", what, cudaGetErrorName(status));
  std::fflush(stdout);
}
#define PRINT(call) Print(#call, call)

cudaGraph_t CaptureNothing(cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  PRINT(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  PRINT(cudaStreamEndCapture(stream, &graph));
  return graph;
}

// A thread with a cancellation pending, as another thread has asked for it, uses CUDA: it goes at
// its next cancellation point, which is none of the shim's.
void* EndsEarly(void* first_call_in_capture) {
  cudaStream_t stream = nullptr;
  cudaGraphExec_t exec = nullptr;
  PRINT(cudaStreamCreate(&stream));
  if (first_call_in_capture == nullptr) pthread_cancel(pthread_self());
  // Lines would be cancellation points.
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  cudaStreamEndCapture(stream, &graph);
  if (first_call_in_capture != nullptr) pthread_cancel(pthread_self());
  cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphLaunch(exec, stream);
  pthread_testcancel();
  std::puts("still there");
  return nullptr;
}

void Cancel() {
  int later = 0;
  for (void* when : {static_cast<void*>(nullptr), static_cast<void*>(&later)}) {
    PRINT(cudaFree(nullptr));
    pthread_t thread{};
    void* result = nullptr;
    pthread_create(&thread, nullptr, EndsEarly, when);
    pthread_join(thread, &result);
    std::puts(result == PTHREAD_CANCELED ? "cancelled" : "ended");
  }
}

// A graph launched into a capture becomes part of another one, which outlives it.
void Nested() {
  cudaStream_t stream = nullptr;
  void* memory = nullptr;
  PRINT(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  PRINT(cudaMalloc(&memory, 256));
  cudaGraph_t inner = nullptr;
  cudaGraph_t outer = nullptr;
  cudaGraphExec_t exec = nullptr;
  PRINT(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  PRINT(cudaMemsetAsync(memory, 0, 256, stream));
  PRINT(cudaStreamEndCapture(stream, &inner));
  PRINT(cudaGraphInstantiate(&exec, inner, 0));
  PRINT(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  PRINT(cudaGraphLaunch(exec, stream));
  PRINT(cudaStreamEndCapture(stream, &outer));
  PRINT(cudaGraphExecDestroy(exec));
  PRINT(cudaGraphDestroy(inner));
  // Until the shim lets go of destroyed execs.
  std::this_thread::sleep_for(std::chrono::seconds(8));
  PRINT(cudaGraphInstantiate(&exec, outer, 0));
  PRINT(cudaGraphLaunch(exec, stream));
  PRINT(cudaStreamSynchronize(stream));
}

// Another thread than the one that began tries to end the capture.
void WrongThread() {
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  PRINT(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  PRINT(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  std::thread([stream] {
    cudaGraph_t none = nullptr;
    PRINT(cudaStreamEndCapture(stream, &none));
  }).join();
  PRINT(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t exec = nullptr;
  PRINT(cudaGraphInstantiate(&exec, graph, 0));
}

void Plain() {
  cudaStream_t stream = nullptr;
  cudaGraphExec_t exec = nullptr;
  PRINT(cudaStreamCreate(&stream));
  PRINT(cudaGraphInstantiate(&exec, CaptureNothing(stream), 0));
  PRINT(cudaGraphLaunch(exec, stream));
  PRINT(cudaStreamSynchronize(stream));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 2 ? argv[1] : "";
  if (mode == "cancel") return Cancel(), 0;
  if (mode == "nested") return Nested(), 0;
  if (mode == "wrong-thread") return WrongThread(), 0;
  if (mode == "plain") return Plain(), 0;
  return 64;
}
