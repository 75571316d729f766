// Journals in the kernels of ours in a graph: filled for a while, and what is planned because of
// them. The driver is a table of functions over a few nodes.
#include "shim/journals.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "kernels/launch_plan.h"
#include "shim/arguments.h"
#include "shim/instrument.h"
#include "tests/unit/shim/device_driver.h"

namespace lamplight::shim {
namespace {

using kernels::CollectiveCall;
using kernels::DataType;
using kernels::Kernel;
using kernels::Protocol;

// A kernel node of the driver's.
struct Node {
  CollectiveCall call{};
  CUcontext context = nullptr;
  bool refuses = false;
  int set = 0;
  bool packed = false;
  void* argument = nullptr;
  std::unique_ptr<PackedList> list;
};

Node& NodeAt(CUgraphNode handle) { return *reinterpret_cast<Node*>(handle); }
CUgraphNode HandleOf(Node& node) { return reinterpret_cast<CUgraphNode>(&node); }

CUcontext Context(uintptr_t number) { return reinterpret_cast<CUcontext>(number); }

// The device's own, an ordinary one beside it, and green ones in it: one whose nodes keep it when
// their parameters are set, one whose nodes do not, and one whose null stream is being captured.
const CUcontext kHome = Context(1);
const CUcontext kOrdinary = Context(2);
const CUcontext kGreen = Context(3);
const CUcontext kGreenButMoves = Context(4);
const CUcontext kGreenCaptures = Context(5);
CUcontext current_context = kHome;

bool IsGreen(CUcontext context) { return context != kHome && context != kOrdinary; }

CUresult ContextsOf(CUstream, CUcontext* regular, CUgreenCtx* green) {
  *regular = IsGreen(current_context) ? kHome : current_context;
  *green = IsGreen(current_context) ? reinterpret_cast<CUgreenCtx>(current_context) : nullptr;
  return CUDA_SUCCESS;
}

CUresult IsCapturing(CUstream, CUstreamCaptureStatus* status) {
  *status = current_context == kGreenCaptures ? CU_STREAM_CAPTURE_STATUS_ACTIVE
                                              : CU_STREAM_CAPTURE_STATUS_NONE;
  return CUDA_SUCCESS;
}

CUresult GetParameters(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS* parameters) {
  Node& node = NodeAt(handle);
  node.argument = &node.call;
  *parameters = {};
  parameters->ctx = node.context;
  if (node.packed) {
    node.list = std::make_unique<PackedList>(&node.call, sizeof node.call);
    parameters->extra = node.list->get();
  } else {
    parameters->kernelParams = &node.argument;
  }
  return CUDA_SUCCESS;
}

CUresult SetParameters(CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS* parameters) {
  Node& node = NodeAt(handle);
  if (node.refuses) return CUDA_ERROR_NOT_SUPPORTED;
  ++node.set;
  node.packed = parameters->kernelParams == nullptr;
  const void* given =
      node.packed ? PackedArguments(parameters->extra).bytes : parameters->kernelParams[0];
  std::memcpy(&node.call, given, sizeof node.call);
  node.context = parameters->ctx == kGreenButMoves ? kHome : parameters->ctx;
  return CUDA_SUCCESS;
}

// Of the one scratch graph.
Node scratch;
CUresult AddToScratch(CUgraphNode* handle, CUgraph, const CUgraphNode*, size_t,
                      const CUDA_KERNEL_NODE_PARAMS* parameters) {
  *handle = HandleOf(scratch);
  return SetParameters(*handle, parameters);
}

// For a Device in context 1, and for journals.
constexpr CUdeviceptr kMarks = 0x2000000;

DriverApi FakeDriver() {
  DriverApi api = DriverOfADevice();
  api.CtxGetCurrent = [](CUcontext* context) {
    *context = current_context;
    return CUDA_SUCCESS;
  };
  api.CtxSetCurrent = [](CUcontext context) {
    current_context = context;
    return CUDA_SUCCESS;
  };
  api.StreamGetCtx = ContextsOf;
  api.StreamIsCapturing = IsCapturing;
  api.GraphCreate = [](CUgraph* graph, unsigned) {
    *graph = reinterpret_cast<CUgraph>(1);
    return CUDA_SUCCESS;
  };
  api.GraphDestroy = [](CUgraph) { return CUDA_SUCCESS; };
  api.GraphAddKernelNode = AddToScratch;
  // A Device's counters, then its marks.
  api.MemAlloc = [](CUdeviceptr* device, size_t) {
    static bool counters = false;
    counters = !counters;
    *device = counters ? 0x10000 : kMarks;
    return CUDA_SUCCESS;
  };
  api.EventCreate = [](CUevent*, unsigned) { return CUDA_SUCCESS; };
  api.GraphKernelNodeGetParams = GetParameters;
  api.GraphKernelNodeSetParams = SetParameters;
  return api;
}

class JournalsTest : public ::testing::Test {
 protected:
  JournalsTest() {
    std::string error;
    device_ = Device::Open(driver_, &error);
    exec_.device = device_.get();
    exec_.id = 9;
  }

  const Function* FunctionOf(const std::string& symbol, size_t parameter_bytes) {
    const lamport::ParameterSpan parameters[] = {{0, parameter_bytes}};
    functions_.push_back(std::make_unique<Function>());
    functions_.back()->symbol = symbol;
    functions_.back()->parameters = {parameters[0]};
    functions_.back()->recognition = abi_->Recognise(symbol, parameters);
    return functions_.back().get();
  }

  // A node of one of our kernels on workspace `workspace`, in a chain.
  void Add(Kernel kernel, Workspace* workspace, CollectiveCall call = {}) {
    call.state = reinterpret_cast<void*>(workspace->flags_address);
    call.tokens = 4;
    call.hidden = 64;
    call.world = 2;
    call.rank = 1;
    nodes_.push_back(std::make_unique<Node>());
    nodes_.back()->call = call;
    const std::string symbol =
        kernels::SymbolOf(kernels::IdFor(kernel, Protocol::kMnnvl, DataType::kBf16, 2));
    const Function* function = FunctionOf(symbol, sizeof(CollectiveCall));
    lamport::DecodedCall decoded{};
    void* argument = &call;
    ASSERT_TRUE(lamport::Decode(function->recognition, &argument, {}, &decoded));
    decoded.call.workspace_id = workspace->id;
    AddCall(function, decoded, workspace);
  }
  void AddIn(CUcontext context, Workspace* workspace) {
    Add(Kernel::kOneShot, workspace);
    nodes_.back()->context = context;
    shape_.calls.back().context = context;
  }
  // A kernel of the field's, which cannot journal.
  void AddOther(Workspace* workspace) {
    nodes_.push_back(std::make_unique<Node>());
    lamport::DecodedCall decoded{};
    decoded.call.flags = trace::kCallAdvances;
    AddCall(&other_, decoded, workspace);
  }
  void AddCall(const Function* function, const lamport::DecodedCall& decoded,
               Workspace* workspace) {
    const auto node = shape_.own++;
    shape_.nodes.push_back(HandleOf(*nodes_.back()));
    shape_.kinds.push_back(CU_GRAPH_NODE_TYPE_KERNEL);
    shape_.top.push_back(node);
    shape_.order.push_back(node);
    if (node > 0) shape_.edges.push_back({node - 1, node, 0, 0});
    shape_.calls.push_back(
        {.node = node, .function = function, .decoded = decoded, .decodable = true});
    workspaces_.push_back(workspace);
  }

  void Fill(Mode mode = Mode::kJournal) {
    PlanJournals(shape_, mode, workspaces_, &exec_);
    instrumentation_.FillJournals(exec_, &shape_);
  }
  uint32_t Told(size_t call) const {
    return shape_.calls[call].decoded.call.flags & trace::kCallTells;
  }
  bool Marked(size_t call) const { return Told(call) != 0; }
  // The edge from the node before.
  void MakeProgrammatic(size_t node) {
    shape_.edges[node - 1].kind = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC;
  }
  bool FollowersWait(size_t node) const {
    return (nodes_[node]->call.options & kernels::kFollowersWait) != 0;
  }
  std::vector<trace::SnapshotPlace> Planned(Mode mode) {
    PlanInstrumentation(driver_, shape_, mode, workspaces_, &exec_);
    std::vector<trace::SnapshotPlace> places;
    for (const PlannedSnapshot& snapshot : exec_.snapshots) places.push_back(snapshot.place);
    return places;
  }

  DriverApi driver_ = FakeDriver();
  const std::unique_ptr<lamport::AbiTable> abi_ = lamport::AbiTable::Load("", nullptr);
  std::unique_ptr<Device> device_;
  std::vector<std::unique_ptr<Function>> functions_;
  Function other_;
  Workspace one_, two_;
  std::vector<std::unique_ptr<Node>> nodes_;
  GraphShape shape_;
  std::vector<Workspace*> workspaces_;
  Exec exec_;
  Instrumentation instrumentation_{driver_, nullptr};

  void SetUp() override {
    ASSERT_NE(device_, nullptr);
    one_.id = 1;
    one_.flags_address = 0x1000;
    two_.id = 2;
    two_.flags_address = 0x2000;
  }
};

TEST_F(JournalsTest, NodesAreToldWhoTheyAre) {
  Add(Kernel::kOneShot, &one_);
  Add(Kernel::kTwoShot, &two_);
  Fill();
  const kernels::Journal& first = nodes_[0]->call.journal;
  const kernels::Journal& second = nodes_[1]->call.journal;
  EXPECT_NE(first.ring, 0u);
  EXPECT_EQ(first.tickets_or_mark, 0x10000u);
  EXPECT_EQ(first.exec_id, 9u);
  EXPECT_EQ(first.workspace_id, 1u);
  EXPECT_EQ(first.node, 0u);
  EXPECT_EQ(second.workspace_id, 2u);
  EXPECT_EQ(second.node, 1u);
  EXPECT_NE(first.counter_and_bits >> 8, 0u);
  EXPECT_NE(first.counter_and_bits >> 8, second.counter_and_bits >> 8);
  EXPECT_TRUE(Marked(0) && Marked(1));
}

TEST_F(JournalsTest, OutsideOfTheJournalModeEachNodeHasAMark) {
  Add(Kernel::kOneShot, &one_);
  Add(Kernel::kOneShot, &one_);
  Fill(Mode::kDefault);
  const kernels::Journal& first = nodes_[0]->call.journal;
  const kernels::Journal& second = nodes_[1]->call.journal;
  EXPECT_EQ(first.ring, 0u);
  EXPECT_EQ(first.tickets_or_mark % sizeof(NodeMark), 0u);
  EXPECT_GT(first.tickets_or_mark, kMarks);
  EXPECT_EQ(second.tickets_or_mark, first.tickets_or_mark + sizeof(NodeMark));
  EXPECT_EQ(Told(0), trace::kCallMarks);
  EXPECT_EQ(Planned(Mode::kDefault), std::vector{trace::SnapshotPlace::kTail});
  EXPECT_FALSE(exec_.tells_itself);
}

TEST_F(JournalsTest, FullEdgesAndOurOwnKernelsMakeFollowersWait) {
  Add(Kernel::kOneShot, &one_);
  Add(Kernel::kOneShot, &one_);
  Add(Kernel::kOneShot, &one_);
  AddOther(&one_);
  MakeProgrammatic(1);
  Fill(Mode::kDefault);
  EXPECT_TRUE(FollowersWait(0));
  EXPECT_TRUE(FollowersWait(1));
  EXPECT_TRUE(FollowersWait(2));
}

TEST_F(JournalsTest, KernelsOfOthersBehindProgrammaticEdgesMayNotWait) {
  Add(Kernel::kOneShot, &one_);
  AddOther(&one_);
  Add(Kernel::kOneShot, &one_);
  MakeProgrammatic(1);
  MakeProgrammatic(2);
  Fill(Mode::kDefault);
  EXPECT_FALSE(FollowersWait(0));
  EXPECT_TRUE(FollowersWait(2));  // the last one: a graph ends as a whole
}

TEST_F(JournalsTest, GraphIsGivenBackByteForByte) {
  CollectiveCall call{};
  call.epsilon = 0.25f;
  call.fragments = 3;
  Add(Kernel::kOneShot, &one_, call);
  const CollectiveCall before = nodes_[0]->call;
  Fill();
  EXPECT_NE(std::memcmp(&before, &nodes_[0]->call, sizeof before), 0);
  EXPECT_TRUE(instrumentation_.added());
  instrumentation_.Remove();
  EXPECT_EQ(std::memcmp(&before, &nodes_[0]->call, sizeof before), 0);
  EXPECT_EQ(nodes_[0]->set, 2);
  EXPECT_FALSE(instrumentation_.added());
}

TEST_F(JournalsTest, PackedArgumentsAreReadAndStayPacked) {
  Add(Kernel::kOneShot, &one_);
  nodes_[0]->packed = true;
  const CollectiveCall before = nodes_[0]->call;
  Fill();
  EXPECT_TRUE(Marked(0));
  EXPECT_TRUE(nodes_[0]->packed);
  EXPECT_EQ(nodes_[0]->call.journal.workspace_id, 1u);
  instrumentation_.Remove();
  EXPECT_TRUE(nodes_[0]->packed);
  EXPECT_EQ(std::memcmp(&before, &nodes_[0]->call, sizeof before), 0);
}

TEST_F(JournalsTest, CallsThatMoveNothingOnAndForeignKernelsAreLeftAlone) {
  Add(Kernel::kTwoShotSends, &one_);
  Add(Kernel::kTwoShotNorm, &one_);
  AddOther(&one_);
  Fill();
  EXPECT_EQ(nodes_[0]->set, 0);
  EXPECT_EQ(nodes_[1]->set, 1);
  EXPECT_EQ(nodes_[2]->set, 0);
  EXPECT_EQ(exec_.journals.size(), 1u);
}

TEST_F(JournalsTest, NodesOfAGreenContextAreToldAsItSeesOurMemory) {
  AddIn(kGreen, &one_);
  AddIn(kHome, &one_);
  AddIn(nullptr, &one_);
  Fill(Mode::kDefault);
  EXPECT_TRUE(Marked(0) && Marked(1) && Marked(2));
  EXPECT_TRUE(FollowersWait(0));
  EXPECT_EQ(nodes_[0]->context, kGreen);
  EXPECT_EQ(current_context, kHome);
  instrumentation_.Remove();
  EXPECT_EQ(nodes_[0]->context, kGreen);
  EXPECT_EQ(current_context, kHome);
}

TEST_F(JournalsTest, NodesOfAnotherContextAreLeftAlone) {
  AddIn(kOrdinary, &one_);
  AddIn(kHome, &one_);
  Fill();
  EXPECT_FALSE(Marked(0));
  EXPECT_TRUE(Marked(1));
  EXPECT_EQ(current_context, kHome);
}

TEST_F(JournalsTest, NodesThatWouldNotKeepTheirContextAreLeftAlone) {
  AddIn(kGreenButMoves, &one_);
  Fill();
  EXPECT_FALSE(Marked(0));
  EXPECT_EQ(nodes_[0]->set, 0);
  EXPECT_EQ(nodes_[0]->context, kGreenButMoves);
}

TEST_F(JournalsTest, NodesAreLeftAloneWhereACaptureForbidsToAsk) {
  AddIn(kGreenCaptures, &one_);
  Fill();
  EXPECT_EQ(nodes_[0]->set, 0);
}

TEST_F(JournalsTest, NodesOfOtherContextsAreLeftAloneByOldDrivers) {
  driver_.StreamGetCtx = nullptr;
  AddIn(kGreen, &one_);
  Fill();
  EXPECT_EQ(nodes_[0]->set, 0);
}

TEST_F(JournalsTest, NoSnapshotReadsTheMemoryOfAnotherContext) {
  AddIn(kOrdinary, &one_);
  AddIn(kGreenButMoves, &two_);
  Fill(Mode::kDefault);
  PlanInstrumentation(driver_, shape_, Mode::kDefault, workspaces_, &exec_);
  ASSERT_EQ(exec_.snapshots.size(), 1u);
  EXPECT_EQ(exec_.snapshots[0].workspaces, std::vector<Workspace*>{&two_});
  EXPECT_FALSE(exec_.tells_itself);
}

TEST_F(JournalsTest, WhatTheDriverRefusesIsNotMarked) {
  Add(Kernel::kOneShot, &one_);
  nodes_[0]->refuses = true;
  Fill();
  EXPECT_FALSE(Marked(0));
  EXPECT_EQ(Planned(Mode::kDefault), std::vector{trace::SnapshotPlace::kTail});
}

TEST_F(JournalsTest, DoubtfulNodesAreNotTold) {
  Add(Kernel::kOneShot, &one_);
  PlanJournals(shape_, Mode::kJournal, workspaces_, &exec_);
  exec_.journals.at(0).Doubt(3);
  instrumentation_.FillJournals(exec_, &shape_);
  EXPECT_EQ(nodes_[0]->set, 0);
}

TEST_F(JournalsTest, NoTailWhereAllCallsTell) {
  Add(Kernel::kOneShot, &one_);
  Add(Kernel::kOneShot, &two_);
  Fill();
  EXPECT_EQ(Planned(Mode::kJournal), std::vector{trace::SnapshotPlace::kHead});
  EXPECT_TRUE(exec_.tells_itself);
}

TEST_F(JournalsTest, TailOfTheWorkspaceThatDoesNotTell) {
  Add(Kernel::kOneShot, &one_);
  Add(Kernel::kOneShot, &two_);
  AddOther(&two_);
  Fill();
  PlanInstrumentation(driver_, shape_, Mode::kDefault, workspaces_, &exec_);
  ASSERT_EQ(exec_.snapshots.size(), 1u);
  EXPECT_EQ(exec_.snapshots[0].workspaces, std::vector<Workspace*>{&two_});
  EXPECT_FALSE(exec_.tells_itself);
}

TEST_F(JournalsTest, JournalModePutsNoNodeBehindOneThatTells) {
  Add(Kernel::kOneShot, &one_);
  AddOther(&one_);
  Add(Kernel::kOneShot, &one_);
  Fill();
  EXPECT_EQ(Planned(Mode::kJournal),
            (std::vector{trace::SnapshotPlace::kHead, trace::SnapshotPlace::kNode,
                         trace::SnapshotPlace::kTail}));
  EXPECT_EQ(exec_.snapshots[1].node, 1u);
}

TEST_F(JournalsTest, StrictModeKeepsItsHead) {
  Add(Kernel::kOneShot, &one_);
  Fill();
  EXPECT_EQ(Planned(Mode::kStrict), std::vector{trace::SnapshotPlace::kHead});
}

TEST_F(JournalsTest, ReplaysCountWhenEveryNodeHasTold) {
  Add(Kernel::kOneShot, &one_);
  Add(Kernel::kOneShot, &one_);
  PlanJournals(shape_, Mode::kJournal, workspaces_, &exec_);
  exec_.journals.at(0).newest = 7;
  EXPECT_EQ(exec_.JournalledReplays(), 0u);
  exec_.journals.at(1).newest = 6;
  EXPECT_EQ(exec_.JournalledReplays(), 6u);
}

TEST_F(JournalsTest, EagerCallsCarryTheirOperation) {
  const kernels::Journal journal = EagerJournal(*device_, 4, 0x1'0000'0007u);
  EXPECT_EQ(journal.exec_id, 0u);
  EXPECT_EQ(journal.workspace_id, 4u);
  EXPECT_EQ(journal.node, 7u);
  EXPECT_EQ(journal.counter_and_bits >> 8, 0u);
}

TEST(WholeOperation, IsTheNearestToTheNewest) {
  EXPECT_EQ(WholeOperation(7, 9), 7u);
  EXPECT_EQ(WholeOperation(9, 7), 9u);
  EXPECT_EQ(WholeOperation(0xfffffff0u, 0x1'0000'0005u), 0xfffffff0u);
  EXPECT_EQ(WholeOperation(3, 0x1'0000'0005u), 0x1'0000'0003u);
}

}  // namespace
}  // namespace lamplight::shim
