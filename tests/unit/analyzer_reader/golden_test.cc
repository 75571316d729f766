// Traces of released format versions are read for ever, and say what they said.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>

#include "analyzer/model_builder.h"
#include "analyzer/trace_reader.h"
#include "tests/unit/analyzer_reader/golden.h"

namespace lamplight {
namespace {

// The trace of a rank, as the shim of that version wrote it.
std::string PathOf(const std::string& version, uint32_t rank) {
  return LAMPLIGHT_TEST_DATA "/v" + version + "/rank" + std::to_string(rank) + ".lamptrace";
}

TraceFile ReadGolden(const std::string& version, uint32_t rank) {
  std::string error;
  auto trace = ReadTrace(PathOf(version, rank), &error);
  if (!trace) throw std::runtime_error(error);
  return *std::move(trace);
}

using Counts = std::map<std::string, int>;

Counts CountRecords(const TraceFile& trace) {
  Counts counts;
  for (const auto* records : {&trace.definitions, &trace.events}) {
    for (const RecordView& view : *records) ++counts[RecordTypeName(view.type())];
  }
  return counts;
}

const Counts kRecordsOf10 = {
    {"CaptureBegin", 1}, {"CaptureEnd", 1},  {"ClockAnchor", 2}, {"Communicator", 1},
    {"Device", 1},       {"EagerLaunch", 1}, {"Edge", 2},        {"Exec", 1},
    {"ExecUpdate", 1},   {"FlagsRead", 2},   {"Graph", 1},       {"GraphLaunch", 8},
    {"Hang", 1},         {"HostThread", 1},  {"Kernel", 1},      {"Node", 3},
    {"NodeParams", 1},   {"Order", 1},       {"Process", 1},     {"ReplayDone", 7},
    {"Site", 1},         {"SlotState", 2},   {"Snapshot", 7},    {"Stream", 1},
    {"Text", 1},         {"Workspace", 1}};

class GoldenTrace : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTrace, HoldsTheRecordsItHeld) {
  const TraceFile trace = ReadGolden(GetParam(), 0);
  EXPECT_EQ("1." + std::to_string(trace.header.minor), GetParam());
  EXPECT_TRUE(trace.losses.empty());
  EXPECT_TRUE(trace.unknown_records.empty());
  Counts expected = kRecordsOf10;
  if (trace.header.minor >= 1)
    expected.merge(Counts{{"InputMatch", 1}, {"PythonSite", 1}, {"Swap", 1}});
  if (trace.header.minor >= 2) expected.merge(Counts{{"EagerSnapshot", 1}, {"PeerHeader", 1}});
  if (trace.header.minor >= 3)
    expected.merge(Counts{{"EarlyRead", 1}, {"Mark", 1}, {"Source", 1}, {"Trouble", 1}});
  if (trace.header.minor >= 4) expected.merge(Counts{{"DriverClient", 1}});
  if (trace.header.minor >= 5) expected["Kernel"] = 2;
  EXPECT_EQ(CountRecords(trace), expected);
}

TEST_P(GoldenTrace, GivesTheModelItGave) {
  std::vector<TraceFile> traces;
  for (uint32_t rank = 0; rank < 2; ++rank) traces.push_back(ReadGolden(GetParam(), rank));
  const Model model = BuildModel(std::move(traces), {});
  EXPECT_TRUE(model.losses.empty());
  ASSERT_EQ(model.processes.size(), 2u);
  EXPECT_EQ(model.processes[1].pid, 5001u);
  EXPECT_EQ(model.processes[1].job, "golden");
  ASSERT_EQ(model.communicators.size(), 1u);
  EXPECT_EQ(model.communicators[0].members, (std::vector<Index>{0, 1}));
  ASSERT_EQ(model.hangs.size(), 2u);
  const Hang& hang = model.hangs[1];
  EXPECT_EQ(hang.replay, 8u);
  EXPECT_EQ(hang.op_before, 15u);
  EXPECT_EQ(hang.flags[1].word[protocol::kArrivals], 8u);
  ASSERT_EQ(hang.slots.size(), 2u);
  EXPECT_EQ(hang.slots[0].peer, 0u);
  EXPECT_EQ(hang.slots[0].alias, 5u);
  EXPECT_EQ(hang.slots[0].first_alias, std::vector<uint32_t>{3});
  EXPECT_EQ(hang.slots[1].alias, 0u);
  const bool counts_stored = GetParam() >= "1.4";
  EXPECT_EQ(hang.slots[0].stored, counts_stored ? 0u : kUnknown);
  EXPECT_EQ(hang.slots[0].stored_leading, counts_stored ? 0u : kUnknown);
  EXPECT_TRUE(hang.slots[0].first_stored.empty());
}

INSTANTIATE_TEST_SUITE_P(Versions, GoldenTrace,
                         ::testing::Values("1.0", "1.1", "1.2", "1.3", "1.4", "1.5"),
                         [](const auto& version) {
                           std::string name = "V" + version.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(GoldenTraceOf11, GivesWhatThatVersionAdded) {
  std::vector<TraceFile> traces;
  traces.push_back(ReadGolden("1.1", 0));
  const Model model = BuildModel(std::move(traces), {});
  ASSERT_EQ(model.sites[0].python.size(), 2u);
  EXPECT_EQ(model.sites[0].python[0].line, 812u);
  ASSERT_EQ(model.hangs[0].inputs.size(), 1u);
  EXPECT_EQ(model.hangs[0].inputs[0].equal, 3u);
}

TEST(GoldenTraceOf12, GivesWhatThatVersionAdded) {
  std::vector<TraceFile> traces;
  traces.push_back(ReadGolden("1.2", 0));
  const Model model = BuildModel(std::move(traces), {});
  ASSERT_EQ(model.eager.size(), 1u);
  EXPECT_TRUE(model.eager[0].call.journals());
  const auto told = std::find_if(model.snapshots.begin(), model.snapshots.end(),
                                 [](const Snapshot& snapshot) { return snapshot.exec == kNone; });
  ASSERT_NE(told, model.snapshots.end());
  EXPECT_EQ(told->op, model.eager[0].op);
  EXPECT_EQ(told->place, trace::SnapshotPlace::kNode);
  ASSERT_EQ(model.hangs[0].headers.size(), 1u);
  EXPECT_EQ(model.hangs[0].headers[0].peer, 1u);
  EXPECT_EQ(model.hangs[0].headers[0].sequence, 15u);
  EXPECT_EQ(model.hangs[0].headers[0].own_hidden, 64u);
}

TEST(GoldenTraceOf13, GivesWhatThatVersionAdded) {
  std::vector<TraceFile> traces;
  traces.push_back(ReadGolden("1.3", 0));
  const Model model = BuildModel(std::move(traces), {});
  EXPECT_TRUE(model.processes[0].driver_calls.asked);
  EXPECT_FALSE(model.processes[0].driver_calls.in_force);
  EXPECT_EQ(model.processes[0].driver_calls.reason, "no libcupti.so");
  ASSERT_EQ(model.graphs[0].early_reads.size(), 1u);
  EXPECT_EQ(model.graphs[0].early_reads[0].node, 2u);
  EXPECT_EQ(model.graphs[0].early_reads[0].relation, trace::EarlyRelation::kNames);
  EXPECT_EQ(model.graphs[0].early_reads[0].bytes, 1024u);
  ASSERT_EQ(model.troubles.size(), 1u);
  const Trouble& trouble = model.troubles[0];
  EXPECT_EQ(trouble.workspace, 0u);
  EXPECT_EQ(trouble.kind(), kernels::Trouble::kTimeout);
  EXPECT_TRUE(trouble.swapped);
  EXPECT_EQ(trouble.repeated, 2u);
  EXPECT_EQ(trouble.report.peer, 1u);
  EXPECT_EQ(trouble.report.token, 4u);
  EXPECT_EQ(trouble.report.bits[3], protocol::kSentinel);
  const Replay& hung = model.replays[model.hangs[0].replay_index];
  const auto mark = std::ranges::find_if(hung.snapshots, [&](Index snapshot) {
    return model.snapshots[snapshot].place == trace::SnapshotPlace::kNode;
  });
  ASSERT_NE(mark, hung.snapshots.end());
  EXPECT_EQ(model.snapshots[*mark].node, 1u);
  EXPECT_EQ(model.snapshots[*mark].word[protocol::kCurrentIndex], 2u);
  EXPECT_NE(model.execs[hung.exec].marks_read_ns, 0u);
}

TEST(GoldenTraceOf14, GivesWhatThatVersionAdded) {
  std::vector<TraceFile> traces;
  traces.push_back(ReadGolden("1.4", 0));
  const Model model = BuildModel(std::move(traces), {});
  EXPECT_EQ(model.processes[0].driver_clients.modules,
            (std::vector<std::string>{"/usr/lib/libengine.so"}));
}

TEST(GoldenTraceOf15, GivesWhatThatVersionAdded) {
  std::vector<TraceFile> traces;
  traces.push_back(ReadGolden("1.5", 0));
  const Model model = BuildModel(std::move(traces), {});
  EXPECT_TRUE(std::ranges::any_of(model.kernels, [](const Kernel& kernel) {
    return kernel.algorithm == trace::Algorithm::kPushOneShot &&
           kernel.flag_layout == trace::FlagLayout::kPhases;
  }));
}

// What writes test traces must write just these bytes, as long as the version is the newest.
TEST(GoldenTraceOf15, IsWhatTheTraceBuilderWrites) {
  ASSERT_EQ(trace::kMinor, 5) << "make golden traces of the new version, and test those here";
  for (uint32_t rank = 0; rank < 2; ++rank) {
    std::ifstream file(PathOf("1.5", rank), std::ios::binary);
    const std::string golden((std::istreambuf_iterator<char>(file)), {});
    const testing::Bytes built = BuildScenario(testing::GoldenScenario(rank)).File();
    EXPECT_EQ(golden.size(), built.size());
    EXPECT_TRUE(golden.size() == built.size() &&
                std::memcmp(golden.data(), built.data(), built.size()) == 0);
  }
}

}  // namespace
}  // namespace lamplight
