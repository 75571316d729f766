// Reports: what stands where, and that nothing in a model can break them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "analyzer/detectors/registry.h"
#include "analyzer/report/json_report.h"
#include "analyzer/report/names.h"
#include "analyzer/report/text_report.h"
#include "analyzer/report/text_writer.h"
#include "tests/unit/detectors/model_fixture.h"

namespace lamplight {
namespace {

using nlohmann::json;

// Rank 0 hangs by C1, rank 1 left a clean trace.
class Reports : public testing::Test {
 protected:
  Reports() {
    world.model.sites.push_back({{{"lamplight_hook()", "/x/liblamplight.so", 1, 0},
                                  {"cudaStreamEndCapture", "/x/libcudart.so.13", 2, 0},
                                  {"server::Model::Capture(int)", "/opt/libserver.so", 0x40, 0}}});
    const Index exec = world.AddExec(0, 1);
    world.model.graphs[0].site = 0;
    world.Tail(world.Replay(exec), 1);
    hang = world.Hang(world.Replay(exec), 1, 8);
    world.Slots(hang);
    SlotState& slot = world.model.hangs[hang].slots[world.tokens + 5];
    slot.alias = 2;
    slot.arrived -= 2;
    slot.first_alias = {4, 9};
    world.model.hangs[hang].threads.push_back({77, "python", 0});
  }
  std::string Text() { return TextReport(world.model, Diagnose(world.model)); }
  json Json() { return json::parse(JsonReport(world.model, Diagnose(world.model))); }

  World world;
  Index hang = kNone;
};

TEST_F(Reports, TextOpensWithTheVerdict) {
  const std::string text = Text();
  EXPECT_EQ(text.rfind("VERDICT\n  C1  Sentinel aliasing", 0), 0u) << text;
  EXPECT_NE(text.find("[hang, proven], rank 0"), std::string::npos);
}

TEST_F(Reports, TextPutsLossesFirst) {
  world.model.losses.push_back(
      {0, LossKind::kEventsOverwritten, 12, "a.lamptrace: 12 events lost"});
  const std::string text = Text();
  EXPECT_EQ(text.rfind("LOST", 0), 0u);
  EXPECT_LT(text.find("12 events lost"), text.find("VERDICT"));
}

TEST_F(Reports, TextNamesCaptureSiteNodeTokenAndWords) {
  const std::string text = Text();
  EXPECT_NE(text.find("captured in server::Model::Capture"), std::string::npos);
  EXPECT_NE(text.find("server::Model::Capture  (libserver.so+0x40)"), std::string::npos);
  EXPECT_EQ(text.find("lamplight_hook"), std::string::npos);
  EXPECT_NE(text.find("node 0: ns::kernel<2>, 8 tokens x 64"), std::string::npos);
  EXPECT_NE(text.find("rank 1  1           0      5      32     0       2        4 9"),
            std::string::npos);
}

TEST_F(Reports, TextKeepsItsLinesShort) {
  world.model.hangs[hang].threads[0].name = "t";
  world.model.sites[0].frames.push_back({std::string(400, 'x'), "/m", 0, 0});
  std::istringstream lines(Text());
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), TextWriter::kColumns) << line;
  }
}

TEST_F(Reports, TextWritesEqualStacksOnce) {
  world.model.hangs[hang].threads.push_back({78, "pool", 0});
  EXPECT_NE(Text().find("thread 78 pool: as thread 77 python"), std::string::npos);
}

TEST_F(Reports, TextSaysWhenAThreadDidNotAnswer) {
  world.model.hangs[hang].threads[0].site = kNone;
  EXPECT_NE(Text().find("thread 77 python: did not answer in time"), std::string::npos);
}

TEST_F(Reports, TextPlacesACaptureOfAStrippedProgramInIt) {
  world.model.sites[0].frames = {{"lamplight_hook", "/x/liblamplight.so", 0x10, 0},
                                 {"", "/opt/server", 0x5be8b, 0},
                                 {"", "/opt/server", 0x11807, 0},
                                 {"__libc_start_main", "/usr/lib/libc.so.6", 0x2a1ca, 0}};
  EXPECT_NE(Text().find("captured in server+0x5be8b"), std::string::npos) << Text();
}

TEST_F(Reports, TextShowsPythonStacks) {
  world.model.hangs[hang].texts.push_back({trace::TextKind::kPythonStacks, "File a.py\n  line 3"});
  EXPECT_NE(Text().find("      File a.py\n        line 3\n"), std::string::npos);
}

TEST_F(Reports, TextNamesThePythonFramesOfTheUserAtACapture) {
  world.model.sites[0].python = {{"/env/torch/cuda/graphs.py", "capture_end", 90},
                                 {"/env/vllm/worker/model_runner.py", "capture_model", 812},
                                 {"/env/vllm/engine.py", "main", 0}};
  const std::string text = Text();
  EXPECT_NE(text.find("captured in model_runner.py:812 in capture_model"), std::string::npos);
  EXPECT_NE(text.find("captured at\n      model_runner.py:812 in capture_model  (/env/vllm"),
            std::string::npos);
  EXPECT_NE(text.find("      engine.py in main"), std::string::npos);
  EXPECT_EQ(text.find("graphs.py"), std::string::npos);
}

TEST_F(Reports, TextNamesTorchWhereTheCaptureIsTorchAlone) {
  world.model.sites[0].python = {{"/env/torch/cuda/graphs.py", "capture_end", 90}};
  EXPECT_NE(Text().find("graphs.py:90 in capture_end"), std::string::npos);
}

TEST_F(Reports, TextNamesTheInstantiationOfAGraphThatWasNotCaptured) {
  world.model.graphs[0].site = kNone;
  world.model.execs[0].site = 0;
  EXPECT_NE(Text().find("instantiated at\n      cudaStreamEndCapture"), std::string::npos);
}

TEST_F(Reports, JsonHoldsAllPythonFrames) {
  world.model.sites[0].python = {{"/env/torch/cuda/graphs.py", "capture_end", 90},
                                 {"/env/app.py", "main", 0}};
  const json frames = Json()["findings"][0]["place"]["capture_python"];
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(
      frames[0],
      (json{{"file", "/env/torch/cuda/graphs.py"}, {"line", 90}, {"function", "capture_end"}}));
  EXPECT_TRUE(frames[1]["line"].is_null());
}

TEST_F(Reports, CleanTextSaysWhatWasChecked) {
  world.model.hangs.clear();
  const std::string text = Text();
  EXPECT_EQ(text.rfind("VERDICT  Nothing found.", 0), 0u);
  EXPECT_NE(text.find("2 graph replays and 0 eager calls of 2 processes"), std::string::npos);
}

TEST_F(Reports, CleanTextNamesC4OnlyWhereKernelsTellOfIt) {
  world.model.hangs.clear();
  EXPECT_NE(Text().find("checked for C1 to C3, C7 to C10"), std::string::npos) << Text();
  world.model.kernels[0].descriptor = "lamplight-oneshot";
  EXPECT_NE(Text().find("checked for C1 to C4, C7 to C10"), std::string::npos) << Text();
}

TEST_F(Reports, LaunchesThatWereRefusedAreCountedApart) {
  world.model.hangs.clear();
  world.model.replays.back().status = 2;
  EXPECT_NE(Text().find("1 graph replay and 0 eager calls"), std::string::npos) << Text();
  EXPECT_NE(Text().find("pid 100: 1 launch was refused"), std::string::npos) << Text();
  const json report = Json();
  EXPECT_EQ(report["checked"]["replays"], 1);
  EXPECT_EQ(report["processes"][0]["replays"], 1);
  EXPECT_EQ(report["processes"][0]["refused"], 1);
}

TEST_F(Reports, JsonTellsWhenTheLastRecordWasWritten) {
  EXPECT_EQ(Json()["processes"][1]["last_record_ns"], world.model.processes[1].last_ns);
}

TEST_F(Reports, RanksWithoutANumberAreNull) {
  world.model.workspaces[0].rank = kUnknown;
  const json report = Json();
  EXPECT_TRUE(report["findings"][0]["ranks"][0].is_null());
  EXPECT_TRUE(report["processes"][0]["ranks"][0].is_null());
  EXPECT_EQ(report.dump().find("4294967295"), std::string::npos);
  EXPECT_EQ(Text().find("4294967295"), std::string::npos);
}

TEST_F(Reports, LongListsOfRanksWithoutTraceAreCut) {
  Communicator huge;
  huge.world = 4096;
  huge.members.assign(huge.world, kNone);
  world.model.communicators.push_back(huge);
  EXPECT_NE(Text().find("4080 more"), std::string::npos);
}

TEST_F(Reports, CleanTextPointsAtWhatWasNotChecked) {
  world.model.hangs.clear();
  world.model.processes[0].events_lost = true;
  EXPECT_NE(Text().find("NOT CHECKED\n  - pid 100"), std::string::npos);
}

TEST_F(Reports, LongListsAreCut) {
  for (int i = 0; i < 50; ++i) world.model.notes.push_back({kNone, "note"});
  EXPECT_NE(Text().find("and 30 more"), std::string::npos);
}

TEST_F(Reports, JsonHoldsTheFinding) {
  const json report = Json();
  EXPECT_EQ(report["schema"], "lamplight.report");
  EXPECT_EQ(report["version"], "1.5");
  EXPECT_EQ(report["verdict"], "findings");
  const json& finding = report["findings"].at(0);
  EXPECT_EQ(finding["hazard"], "C1");
  EXPECT_EQ(finding["severity"], "hang");
  EXPECT_EQ(finding["confidence"], "proven");
  EXPECT_EQ(finding["ranks"], json::array({0}));
  EXPECT_EQ(finding["place"]["replay"], 2);
  EXPECT_EQ(finding["place"]["operation"], 1);
  EXPECT_EQ(finding["place"]["nodes"].at(0)["position"], 0);
  EXPECT_EQ(finding["place"]["capture_site"].at(1)["symbol"], "server::Model::Capture(int)");
  const json& slot = finding["slots"].at(0);
  EXPECT_EQ(slot["peer"], 1);
  EXPECT_EQ(slot["token"], 5);
  EXPECT_EQ(slot["alias"], 2);
  EXPECT_EQ(slot["positions"], json::array({4, 9}));
  EXPECT_EQ(finding["hangs"], json::array({1}));
}

TEST_F(Reports, JsonCountsWhatWasChecked) {
  const json report = Json();
  EXPECT_EQ(report["checked"]["replays"], 2);
  EXPECT_EQ(report["processes"].at(0)["replays"], 2);
  EXPECT_EQ(report["processes"].at(0)["replays_completed"], 1);
  EXPECT_EQ(report["communicators"].at(0)["pid_by_rank"], json::array({100, 101}));
}

TEST_F(Reports, JsonUsesNullForWhatIsUnknown) {
  world.model.hangs[hang].slots[world.tokens + 5].token = kUnknown;
  world.model.hangs[hang].slots.erase(world.model.hangs[hang].slots.begin(),
                                      world.model.hangs[hang].slots.begin() + world.tokens + 5);
  SlotState& own = world.Slot(hang, 0, kUnknown, 0, 0);
  own.words = own.arrived = 32;
  const json report = Json();
  EXPECT_TRUE(report["findings"].at(0)["slots"].at(0)["token"].is_null());
}

TEST_F(Reports, JsonSurvivesBytesThatAreNotUtf8) {
  world.model.notes.push_back({kNone, "bad \xff\xfe bytes"});
  EXPECT_EQ(Json()["notes"].size(), 1u);
}

TEST_F(Reports, CleanJsonSaysSo) {
  world.model.hangs.clear();
  EXPECT_EQ(Json()["verdict"], "clean");
  EXPECT_TRUE(Json()["findings"].empty());
}

TEST_F(Reports, JsonListsConsequences) {
  world.Hang(world.Replay(world.AddExec(0, std::vector<Call>{})), 0, 0);
  const json consequences = Json()["findings"].at(0)["consequences"];
  ASSERT_EQ(consequences.size(), 1u);
  EXPECT_EQ(consequences[0]["hang"], 2);
  EXPECT_EQ(consequences[0]["pid"], 100);
}

// ---------------------------------------------------------------- names

TEST(Names, FunctionsLoseReturnTypeParametersAndCasts) {
  EXPECT_EQ(ShortFunction("void a::f<(unsigned char)8, b::T>(int, b::T*)"), "a::f<8, b::T>");
  EXPECT_EQ(ShortFunction("main"), "main");
  EXPECT_EQ(ShortFunction("ns::(anonymous namespace)::Run(int)"), "ns::(anonymous namespace)::Run");
  EXPECT_EQ(ShortFunction("bool operator==(A, B)"), "bool operator==(A, B)");
  EXPECT_EQ(ShortFunction(""), "");
  EXPECT_EQ(ShortFunction("f<>>>((("), "f<>>>(((");
}

TEST(Names, FramesWithoutSymbolNameTheirModule) {
  EXPECT_EQ(FrameLine({"", "/usr/lib/libx.so", 0x1f, 0}), "libx.so+0x1f");
  EXPECT_EQ(FrameLine({"", "", 0, 0}), "unknown module");
}

TEST(TextWriter, WrapsBetweenWordsOnly) {
  TextWriter out;
  out.Paragraph("- ", std::string(60, 'a') + " " + std::string(60, 'b'));
  EXPECT_EQ(out.Take(), "- " + std::string(60, 'a') + "\n  " + std::string(60, 'b') + "\n");
}

}  // namespace
}  // namespace lamplight
