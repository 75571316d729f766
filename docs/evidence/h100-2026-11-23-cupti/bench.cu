// Host time of launches, under whatever is preloaded.
#include <cuda_runtime.h>
#include <stdio.h>
#include <algorithm>
#include <chrono>
#include <vector>
__global__ void k(int* p, int v) {
  if (p) *p += v;
}
static double us() {
  return std::chrono::duration<double, std::micro>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}
template <class F>
double med(F f, cudaStream_t s, int n) {
  std::vector<double> t;
  for (int r = 0; r < 60; ++r) {
    double a = us();
    for (int i = 0; i < n; ++i) f();
    t.push_back((us() - a) / n);
    cudaStreamSynchronize(s);
  }
  std::sort(t.begin(), t.end());
  return t[t.size() / 2];
}
int main(int c, char** v) {
  int* p;
  cudaMalloc(&p, 4);
  cudaStream_t s;
  cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking);
  k<<<1, 1, 0, s>>>(p, 1);
  cudaStreamSynchronize(s);
  cudaGraphExec_t e[2];
  int sizes[2] = {8, 128};
  for (int j = 0; j < 2; ++j) {
    cudaGraph_t g;
    cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
    for (int i = 0; i < sizes[j]; ++i) k<<<1, 1, 0, s>>>(p, 1);
    cudaStreamEndCapture(s, &g);
    double a = us();
    int r = cudaGraphInstantiate(&e[j], g, 0);
    printf("instantiate %d nodes: %d, %.0f us; ", sizes[j], r, us() - a);
    cudaGraphLaunch(e[j], s);
    cudaStreamSynchronize(s);
  }
  printf("graph of 8 %.2f, of 128 %.2f, kernel %.2f, query %.2f us (error %d)\n",
         med([&] { cudaGraphLaunch(e[0], s); }, s, 40),
         med([&] { cudaGraphLaunch(e[1], s); }, s, 20),
         med([&] { k<<<1, 1, 0, s>>>(p, 1); }, s, 100), med([&] { cudaStreamQuery(s); }, s, 1000),
         (int)cudaGetLastError());
}
