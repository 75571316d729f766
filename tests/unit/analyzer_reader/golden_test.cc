// Traces of released format versions are read for ever, and say what they said.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>

#include "analyzer/model_builder.h"
#include "analyzer/trace_reader.h"
#include "tests/unit/analyzer_reader/golden.h"

namespace lamplight {
namespace {

const std::string kFolder = LAMPLIGHT_TEST_DATA "/v1.0/";

TraceFile ReadGolden(const std::string& name) {
  std::string error;
  auto trace = ReadTrace(kFolder + name, &error);
  if (!trace) throw std::runtime_error(error);
  return *std::move(trace);
}

TEST(GoldenTrace, V1_0HoldsTheRecordsItHeld) {
  const TraceFile trace = ReadGolden("rank0.lamptrace");
  EXPECT_EQ(trace.header.major, 1);
  EXPECT_EQ(trace.header.minor, 0);
  EXPECT_TRUE(trace.losses.empty());
  EXPECT_TRUE(trace.unknown_records.empty());
  std::map<std::string, int> counts;
  for (const auto* records : {&trace.definitions, &trace.events}) {
    for (const RecordView& view : *records) ++counts[RecordTypeName(view.type())];
  }
  const std::map<std::string, int> expected = {
      {"CaptureBegin", 1}, {"CaptureEnd", 1},  {"ClockAnchor", 2}, {"Communicator", 1},
      {"Device", 1},       {"EagerLaunch", 1}, {"Edge", 2},        {"Exec", 1},
      {"ExecUpdate", 1},   {"FlagsRead", 2},   {"Graph", 1},       {"GraphLaunch", 8},
      {"Hang", 1},         {"HostThread", 1},  {"Kernel", 1},      {"Node", 3},
      {"NodeParams", 1},   {"Order", 1},       {"Process", 1},     {"ReplayDone", 7},
      {"Site", 1},         {"SlotState", 2},   {"Snapshot", 7},    {"Stream", 1},
      {"Text", 1},         {"Workspace", 1}};
  EXPECT_EQ(counts, expected);
}

TEST(GoldenTrace, V1_0GivesTheModelItGave) {
  std::vector<TraceFile> traces;
  traces.push_back(ReadGolden("rank0.lamptrace"));
  traces.push_back(ReadGolden("rank1.lamptrace"));
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
}

// While 1.0 is the newest version, what writes test traces must still write just these bytes.
TEST(GoldenTrace, V1_0IsWhatTheTraceBuilderWrites) {
  if (trace::kMinor != 0) GTEST_SKIP() << "the format has gone on";
  for (uint32_t rank = 0; rank < 2; ++rank) {
    std::ifstream file(kFolder + "rank" + std::to_string(rank) + ".lamptrace", std::ios::binary);
    const std::string golden((std::istreambuf_iterator<char>(file)), {});
    const testing::Bytes built = BuildScenario(testing::GoldenScenario(rank)).File();
    EXPECT_EQ(golden.size(), built.size());
    EXPECT_TRUE(golden.size() == built.size() &&
                std::memcmp(golden.data(), built.data(), built.size()) == 0);
  }
}

}  // namespace
}  // namespace lamplight
