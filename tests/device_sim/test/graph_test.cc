// Building, reading and editing graphs by hand, through runtime and driver.
#include <cuda.h>

#include <vector>

#include "fixture.h"

namespace device_sim_test {
namespace {

class GraphTest : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    ASSERT_EQ(cudaSuccess, cudaGraphCreate(&graph_, 0));
  }
  void TearDown() override {
    EXPECT_EQ(cudaSuccess, cudaGraphDestroy(graph_));
    DeviceTest::TearDown();
  }

  cudaGraphNode_t Add(uint32_t value, std::vector<cudaGraphNode_t> after = {}, size_t word = 0) {
    cudaGraphNode_t node = nullptr;
    const AddNodeParams params(words_ + word, value);
    EXPECT_EQ(cudaSuccess,
              cudaGraphAddKernelNode(&node, graph_, after.data(), after.size(), params.get()));
    return node;
  }

  void Run(cudaGraphExec_t exec) {
    EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, stream_));
    EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  }

  cudaGraph_t graph_ = nullptr;
};

TEST_F(GraphTest, ListsNodesInOrderOfCreation) {
  const cudaGraphNode_t first = Add(1);
  const cudaGraphNode_t second = Add(2, {first});
  size_t count = 0;
  EXPECT_EQ(cudaSuccess, cudaGraphGetNodes(graph_, nullptr, &count));
  EXPECT_EQ(2u, count);
  cudaGraphNode_t nodes[3] = {first, first, first};
  count = 3;
  EXPECT_EQ(cudaSuccess, cudaGraphGetNodes(graph_, nodes, &count));
  EXPECT_EQ(2u, count);
  EXPECT_EQ(first, nodes[0]);
  EXPECT_EQ(second, nodes[1]);
  EXPECT_EQ(nullptr, nodes[2]);
}

TEST_F(GraphTest, ReadsDependenciesBothWays) {
  const cudaGraphNode_t first = Add(1);
  const cudaGraphNode_t second = Add(2, {first});
  cudaGraphNode_t node = nullptr;
  size_t count = 1;
  EXPECT_EQ(cudaSuccess, cudaGraphNodeGetDependencies(second, &node, nullptr, &count));
  EXPECT_EQ(first, node);
  EXPECT_EQ(cudaSuccess, cudaGraphNodeGetDependentNodes(first, &node, nullptr, &count));
  EXPECT_EQ(second, node);
  EXPECT_EQ(cudaSuccess, cudaGraphNodeGetDependentNodes(second, nullptr, nullptr, &count));
  EXPECT_EQ(0u, count);
  count = 1;
  EXPECT_EQ(cudaSuccess, cudaGraphGetRootNodes(graph_, &node, &count));
  EXPECT_EQ(first, node);
}

TEST_F(GraphTest, RefusesForeignAndStaleNodes) {
  cudaGraph_t other = nullptr;
  cudaGraphCreate(&other, 0);
  cudaGraphNode_t node = Add(1);
  const AddNodeParams params(words_, 2);
  cudaGraphNode_t added = nullptr;
  EXPECT_EQ(cudaErrorInvalidValue, cudaGraphAddKernelNode(&added, other, &node, 1, params.get()));
  EXPECT_EQ(cudaSuccess, cudaGraphDestroyNode(node));
  EXPECT_EQ(cudaErrorInvalidValue, cudaGraphDestroyNode(node));
  EXPECT_EQ(cudaErrorInvalidValue, cudaGraphAddKernelNode(&added, graph_, &node, 1, params.get()));
  EXPECT_EQ(cudaSuccess, cudaGraphDestroy(other));
  EXPECT_EQ(cudaErrorInvalidValue, cudaGraphDestroy(other));
}

TEST_F(GraphTest, CopiesArgumentsWhenANodeIsAdded) {
  cudaGraphNode_t node = nullptr;
  {
    const AddNodeParams params(words_, 5);
    cudaGraphAddKernelNode(&node, graph_, nullptr, 0, params.get());
  }
  CUDA_KERNEL_NODE_PARAMS params;
  EXPECT_EQ(CUDA_SUCCESS, cuGraphKernelNodeGetParams(node, &params));
  EXPECT_EQ(5u, *static_cast<uint32_t*>(params.kernelParams[1]));
  EXPECT_EQ(words_, *static_cast<uint32_t**>(params.kernelParams[0]));
  const char* name = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuFuncGetName(&name, params.func));
  EXPECT_STREQ(kAddSymbol, name);
  cudaKernelNodeParams runtime;
  EXPECT_EQ(cudaSuccess, cudaGraphKernelNodeGetParams(node, &runtime));
  EXPECT_EQ(FunctionOf(AddStub), runtime.func);
}

TEST_F(GraphTest, AddsNodesThroughTheDriver) {
  const cudaGraphNode_t first = Add(1);
  CUDA_KERNEL_NODE_PARAMS params;
  cuGraphKernelNodeGetParams(first, &params);
  CUgraphNode second = nullptr;
  EXPECT_EQ(CUDA_SUCCESS, cuGraphAddKernelNode(&second, graph_, &first, 1, &params));
  CUgraphNodeParams generic{};
  generic.type = CU_GRAPH_NODE_TYPE_KERNEL;
  generic.kernel.func = params.func;
  generic.kernel.gridDimX = generic.kernel.gridDimY = generic.kernel.gridDimZ = 1;
  generic.kernel.blockDimX = generic.kernel.blockDimY = generic.kernel.blockDimZ = 1;
  generic.kernel.kernelParams = params.kernelParams;
  CUgraphNode third = nullptr;
  CUgraphEdgeData edge{};
  edge.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
  edge.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC;
  EXPECT_EQ(CUDA_SUCCESS, cuGraphAddNode(&third, graph_, &second, &edge, 1, &generic));
  cudaGraphExec_t exec = Instantiate(graph_);
  Run(exec);
  EXPECT_EQ(111u, Word(0));
  cudaGraphExecDestroy(exec);
}

TEST_F(GraphTest, ExecKeepsNodesThatTheGraphLost) {
  const cudaGraphNode_t first = Add(1);
  const cudaGraphNode_t second = Add(2, {first});
  cudaGraphExec_t exec = Instantiate(graph_);
  EXPECT_EQ(cudaSuccess, cudaGraphDestroyNode(second));
  Run(exec);
  EXPECT_EQ(12u, Word(0));
  EXPECT_EQ(cudaSuccess, cudaGraphExecDestroy(exec));
  EXPECT_EQ(cudaErrorInvalidValue, cudaGraphLaunch(exec, stream_));
}

TEST_F(GraphTest, RefusesToInstantiateACycle) {
  const cudaGraphNode_t first = Add(1);
  const cudaGraphNode_t second = Add(2, {first});
  EXPECT_EQ(cudaSuccess, cudaGraphAddDependencies(graph_, &second, &first, nullptr, 1));
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaErrorInvalidValue, cudaGraphInstantiate(&exec, graph_, 0));
  EXPECT_EQ(cudaSuccess, cudaGraphRemoveDependencies(graph_, &second, &first, nullptr, 1));
  EXPECT_EQ(cudaSuccess, cudaGraphInstantiate(&exec, graph_, 0));
  cudaGraphExecDestroy(exec);
}

TEST_F(GraphTest, RefusesTheSameDependencyTwice) {
  const cudaGraphNode_t first = Add(1);
  const cudaGraphNode_t second = Add(2, {first});
  EXPECT_EQ(cudaErrorInvalidValue, cudaGraphAddDependencies(graph_, &first, &second, nullptr, 1));
  const cudaGraphNode_t twice[] = {first, first};
  cudaGraphNode_t third = nullptr;
  EXPECT_EQ(cudaErrorInvalidValue, cudaGraphAddEmptyNode(&third, graph_, twice, 2));
}

TEST_F(GraphTest, ClonesNodesAndEdges) {
  const cudaGraphNode_t first = Add(1);
  Add(2, {first});
  cudaGraph_t clone = nullptr;
  EXPECT_EQ(cudaSuccess, cudaGraphClone(&clone, graph_));
  cudaGraphNode_t copy = nullptr;
  EXPECT_EQ(cudaSuccess, cudaGraphNodeFindInClone(&copy, first, clone));
  EXPECT_NE(first, copy);
  EXPECT_EQ(cudaSuccess, cudaGraphDestroyNode(first));
  cudaGraphExec_t exec = Instantiate(clone);
  Run(exec);
  EXPECT_EQ(12u, Word(0));
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(clone);
}

TEST_F(GraphTest, RunsChildGraphsInTheirPlace) {
  cudaGraph_t child = nullptr;
  cudaGraphCreate(&child, 0);
  cudaGraphNode_t inner = nullptr;
  const AddNodeParams params(words_, 5);
  cudaGraphAddKernelNode(&inner, child, nullptr, 0, params.get());
  const cudaGraphNode_t first = Add(1);
  cudaGraphNode_t middle = nullptr;
  EXPECT_EQ(cudaSuccess, cudaGraphAddChildGraphNode(&middle, graph_, &first, 1, child));
  Add(2, {middle});
  cudaGraph_t owned = nullptr;
  EXPECT_EQ(cudaSuccess, cudaGraphChildGraphNodeGetGraph(middle, &owned));
  EXPECT_NE(child, owned);
  size_t count = 0;
  EXPECT_EQ(cudaSuccess, cudaGraphGetNodes(owned, nullptr, &count));
  EXPECT_EQ(1u, count);
  EXPECT_EQ(cudaErrorInvalidValue, cudaGraphDestroy(owned));
  EXPECT_EQ(cudaSuccess, cudaGraphDestroy(child));
  cudaGraphExec_t exec = Instantiate(graph_);
  Run(exec);
  EXPECT_EQ(152u, Word(0));
  cudaGraphExecDestroy(exec);
}

TEST_F(GraphTest, NamesTheTypeOfEveryKind) {
  cudaEvent_t event;
  cudaEventCreate(&event);
  cudaGraphNode_t node = nullptr;
  cudaGraphNodeType type;
  cudaGraphAddEventRecordNode(&node, graph_, nullptr, 0, event);
  cudaGraphNodeGetType(node, &type);
  EXPECT_EQ(cudaGraphNodeTypeEventRecord, type);
  cudaGraphAddEventWaitNode(&node, graph_, nullptr, 0, event);
  cudaGraphNodeGetType(node, &type);
  EXPECT_EQ(cudaGraphNodeTypeWaitEvent, type);
  cudaGraphAddEmptyNode(&node, graph_, nullptr, 0);
  cudaGraphNodeGetType(node, &type);
  EXPECT_EQ(cudaGraphNodeTypeEmpty, type);
  cudaGraphAddMemcpyNode1D(&node, graph_, nullptr, 0, words_, words_ + 1, 4, cudaMemcpyDefault);
  cudaGraphNodeGetType(node, &type);
  EXPECT_EQ(cudaGraphNodeTypeMemcpy, type);
  cudaEventDestroy(event);
}

TEST_F(GraphTest, OwningMemoryLosesAndTakesOverNothing) {
  void* memory = nullptr;
  cudaGraph_t captured = Capture([&] {
    EXPECT_EQ(cudaSuccess, cudaMallocAsync(&memory, 64, stream_));
    EXPECT_EQ(cudaSuccess, LaunchStore(stream_, static_cast<uint32_t*>(memory), 7));
    EXPECT_EQ(cudaSuccess, cudaMemcpyAsync(words_, memory, 4, cudaMemcpyDefault, stream_));
    EXPECT_EQ(cudaSuccess, cudaFreeAsync(memory, stream_));
  });
  cudaGraphNode_t nodes[4] = {};
  size_t count = 4;
  ASSERT_EQ(cudaSuccess, cudaGraphGetNodes(captured, nodes, &count));
  cudaGraphNodeType type;
  cudaGraphNodeGetType(nodes[0], &type);
  EXPECT_EQ(cudaGraphNodeTypeMemAlloc, type);
  cudaGraphNodeGetType(nodes[3], &type);
  EXPECT_EQ(cudaGraphNodeTypeMemFree, type);
  EXPECT_EQ(cudaErrorNotSupported, cudaGraphDestroyNode(nodes[1]));
  cudaGraphNode_t node = nullptr;
  EXPECT_EQ(cudaErrorNotSupported, cudaGraphAddChildGraphNode(&node, graph_, nullptr, 0, captured));
  const cudaGraphExec_t exec = Instantiate(captured);
  cudaGraphDestroy(captured);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(cudaSuccess, cudaGraphLaunch(exec, stream_));
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(7u, Word(0));
  cudaPointerAttributes attributes{};
  cudaPointerGetAttributes(&attributes, memory);
  EXPECT_EQ(cudaMemoryTypeDevice, attributes.type);
  cudaGraphExecDestroy(exec);
  cudaPointerGetAttributes(&attributes, memory);
  EXPECT_EQ(cudaMemoryTypeUnregistered, attributes.type);
}

TEST_F(GraphTest, KeepsLaunchAttributesOfCapturedKernels) {
  cudaGraph_t captured = Capture([&] { LaunchAdd(stream_, words_, 1, /*pdl=*/true); });
  cudaGraphNode_t node = nullptr;
  size_t count = 1;
  cudaGraphGetNodes(captured, &node, &count);
  cudaKernelNodeAttrValue value{};
  EXPECT_EQ(cudaSuccess, cudaGraphKernelNodeGetAttribute(
                             node, cudaLaunchAttributeProgrammaticStreamSerialization, &value));
  EXPECT_EQ(1, value.programmaticStreamSerializationAllowed);
  cudaGraphDestroy(captured);
}

}  // namespace
}  // namespace device_sim_test
