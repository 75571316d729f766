#include <cuda_runtime.h>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>
#define CHECK(c)                                     \
  do {                                               \
    cudaError_t e = (c);                             \
    if (e != cudaSuccess) {                          \
      printf("%s: %s\n", #c, cudaGetErrorString(e)); \
      exit(2);                                       \
    }                                                \
  } while (0)
using Clock = std::chrono::steady_clock;
__global__ void Work(float* v, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) v[i] = v[i] * 1.0001f + 1.0f;
}
__global__ void Coll(unsigned* f) {
  unsigned i = f[0];
  f[1] = i;
  f[0] = (i + 1) % 3;
}
__global__ void Leaf(volatile unsigned* f, volatile unsigned long long* ring,
                     unsigned long long* t) {
  unsigned l = threadIdx.x;
  unsigned long long k = 0;
  if (l == 0) k = atomicAdd(t, 1ull);
  k = __shfl_sync(~0u, k, 0);
  if (l < 17) ring[(k & 1023) * 32 + l] = (k << 32) | (l < 9 ? f[l] : 0);
}
float* v;
unsigned* f;
unsigned long long *ring, *tick;
cudaEvent_t ev;
void work(bool pdl, cudaStream_t s) {
  cudaLaunchAttribute a{};
  a.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  a.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t c{};
  c.gridDim = 64;
  c.blockDim = 256;
  c.stream = s;
  c.attrs = &a;
  c.numAttrs = pdl;
  CHECK(cudaLaunchKernelEx(&c, Work, v, 1 << 14));
}
cudaGraphExec_t make(int nodes, bool pdl, char kind, cudaStream_t s) {
  cudaGraph_t g;
  CHECK(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < nodes; i++) {
    if (i == nodes / 2 || i == nodes - 2)
      Coll<<<1, 1, 0, s>>>(f);
    else
      work(pdl, s);
  }
  CHECK(cudaStreamEndCapture(s, &g));
  size_t n = 0;
  CHECK(cudaGraphGetNodes(g, nullptr, &n));
  std::vector<cudaGraphNode_t> all(n);
  CHECK(cudaGraphGetNodes(g, all.data(), &n));
  // find order: by creation
  cudaGraphNode_t last = all[n - 1], coll = all[n - 2], leaf = nullptr, en;
  void* args[] = {&f, &ring, &tick};
  cudaKernelNodeParams p{};
  p.func = (void*)Leaf;
  p.gridDim = 1;
  p.blockDim = 32;
  p.kernelParams = args;
  if (kind == 'C' || kind == 'D') CHECK(cudaGraphAddKernelNode(&leaf, g, &coll, 1, &p));
  if (kind == 'E' || kind == 'F') CHECK(cudaGraphAddKernelNode(&leaf, g, &last, 1, &p));
  if (kind == 'B') CHECK(cudaGraphAddEventRecordNode(&en, g, &last, 1, ev));
  if (kind == 'D') {
    cudaGraphNode_t d[] = {last, leaf};
    CHECK(cudaGraphAddEventRecordNode(&en, g, d, 2, ev));
  }
  if (kind == 'F') CHECK(cudaGraphAddEventRecordNode(&en, g, &leaf, 1, ev));
  cudaGraphExec_t x;
  CHECK(cudaGraphInstantiate(&x, g, 0));
  CHECK(cudaGraphDestroy(g));
  return x;
}
double us(cudaGraphExec_t x, cudaStream_t s) {
  std::vector<double> r;
  for (int k = 0; k < 9; k++) {
    auto b = Clock::now();
    for (int i = 0; i < 200; i++) CHECK(cudaGraphLaunch(x, s));
    CHECK(cudaStreamSynchronize(s));
    r.push_back(std::chrono::duration<double, std::micro>(Clock::now() - b).count() / 200);
  }
  std::nth_element(r.begin(), r.begin() + 4, r.end());
  return r[4];
}
void all(const char* what, cudaStream_t s) {
  for (bool pdl : {false, true})
    for (int nodes : {64, 256}) {
      printf("%-28s pdl %d nodes %3d:", what, pdl, nodes);
      cudaGraphExec_t x[6];
      for (int k = 0; k < 6; k++) {
        x[k] = make(nodes, pdl, "ABCDEF"[k], s);
        for (int i = 0; i < 20; i++) CHECK(cudaGraphLaunch(x[k], s));
      }
      double a = 0;
      for (int k = 0; k < 6; k++) {
        double t = us(x[k], s);
        if (k == 0) a = t;
        printf(" %c %.2f%s", 'A' + k, k ? t - a : t, k ? "" : "");
      }
      double a2 = us(x[0], s);
      printf(" A' %+.2f\n", a2 - a);
      fflush(stdout);
      for (auto q : x) CHECK(cudaGraphExecDestroy(q));
    }
}
int main() {
  CHECK(cudaMalloc(&v, 4 << 20));
  CHECK(cudaMemset(v, 0, 4 << 20));
  CHECK(cudaMalloc(&f, 64));
  CHECK(cudaMemset(f, 0, 64));
  CHECK(cudaMalloc(&tick, 8));
  CHECK(cudaMemset(tick, 0, 8));
  unsigned long long* dev;
  CHECK(cudaMalloc(&dev, 1 << 20));
  ring = dev;
  cudaStream_t s;
  CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
  CHECK(cudaEventCreateWithFlags(&ev, cudaEventDisableTiming));
  all("device ring", s);
  cudaStream_t s2;
  CHECK(cudaStreamCreateWithFlags(&s2, cudaStreamNonBlocking));
  all("a second stream", s);
  Coll<<<1, 1, 0, s2>>>(f);
  CHECK(cudaStreamSynchronize(s2));
  all("used", s);
  unsigned long long* h;
  CHECK(cudaHostAlloc(&h, 1 << 20, cudaHostAllocMapped));
  unsigned long long* hd;
  CHECK(cudaHostGetDevicePointer(&hd, h, 0));
  ring = hd;
  all("host ring", s);
  std::atomic<bool> stop{false};
  std::thread t([&] {
    while (!stop) {
      cudaEventQuery(ev);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  all("a thread queries", s);
  stop = true;
  t.join();
  int lo, hi;
  cudaDeviceGetStreamPriorityRange(&lo, &hi);
  cudaStream_t s3;
  CHECK(cudaStreamCreateWithPriority(&s3, cudaStreamNonBlocking, hi));
  Coll<<<1, 1, 0, s3>>>(f);
  CHECK(cudaStreamSynchronize(s3));
  all("a stream of high priority", s);
}
