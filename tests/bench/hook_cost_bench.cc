// What a hook itself costs on the host: the hooks over real functions that do nothing.
//
// Links the shim's core and runs on whatever CUDA runtime is found (the simulated one will do: only
// the set-up calls it). The same stub is called directly for comparison, in the same run.
#include <benchmark/benchmark.h>
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>

#include "shim/hooks/graph.h"
#include "shim/hooks/guard.h"
#include "shim/hooks/launch.h"
#include "shim/session.h"

namespace lamplight::shim {
namespace {

cudaError_t NoLaunch(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t NoKernel(const void*, dim3, dim3, void**, size_t, cudaStream_t) { return cudaSuccess; }

constinit RealFunction<decltype(&cudaGraphLaunch)> real_launch{"stub", NoLaunch};
constinit RealFunction<hooks::LaunchFunction> real_kernel{"stub", NoKernel};
constinit RealFunction<decltype(&cudaGraphInstantiate)> real_instantiate{"cudaGraphInstantiate"};

// An exec that the shim knows, of a graph with one empty node.
cudaGraphExec_t KnownExec() {
  static cudaGraphExec_t exec = [] {
    setenv("LAMPLIGHT_DIR", "/tmp/lamplight-hook-cost", 1);
    cudaFree(nullptr);
    cudaGraph_t graph = nullptr;
    cudaGraphNode_t node = nullptr;
    cudaGraphExec_t made = nullptr;
    if (cudaGraphCreate(&graph, 0) != cudaSuccess ||
        cudaGraphAddEmptyNode(&node, graph, nullptr, 0) != cudaSuccess ||
        hooks::Instantiate(real_instantiate, &made, graph, 0) != cudaSuccess ||
        Session::Running() == nullptr) {
      std::fprintf(stderr, "hook_cost_bench: no CUDA runtime to set up with\n");
      std::exit(2);
    }
    return made;
  }();
  return exec;
}

void GraphLaunchBare(benchmark::State& state) {
  const cudaGraphExec_t exec = KnownExec();
  for (auto _ : state) benchmark::DoNotOptimize(CallReal(real_launch, exec, cudaStream_t{}));
}
BENCHMARK(GraphLaunchBare);

void GraphLaunchHooked(benchmark::State& state) {
  const cudaGraphExec_t exec = KnownExec();
  for (auto _ : state) {
    benchmark::DoNotOptimize(hooks::GraphLaunch(real_launch, exec, cudaStream_t{}, false));
  }
}
BENCHMARK(GraphLaunchHooked);

// Any kernel that is not a Lamport kernel.
void KernelLaunchHooked(benchmark::State& state) {
  KnownExec();
  static const int function = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(hooks::Launch(real_kernel, &function, dim3(1), dim3(1), nullptr, 0,
                                           cudaStream_t{}, false, false, &function));
  }
}
BENCHMARK(KernelLaunchHooked);

}  // namespace
}  // namespace lamplight::shim

BENCHMARK_MAIN();
