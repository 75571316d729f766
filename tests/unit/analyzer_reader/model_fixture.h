// What tests of the model builder share: scenarios in files, merged to a model. One thread a
// fixture.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "analyzer/model_builder.h"
#include "tests/unit/analyzer_reader/scenario.h"
#include "tests/unit/analyzer_reader/trace_builder.h"

namespace lamplight::testing {

class ModelBuilder : public ::testing::Test {
 protected:
  // Traces in order of their files' names.
  Model Build(const std::vector<TraceBuilder>& builders) {
    std::vector<TraceFile> traces;
    for (const TraceBuilder& builder : builders) {
      const std::string path = folder_.File(std::to_string(traces.size()) + ".lamptrace");
      WriteFile(path, builder.File());
      std::string error;
      auto trace = ReadTrace(path, &error);
      EXPECT_TRUE(trace) << error;
      if (trace) traces.push_back(*std::move(trace));
    }
    return BuildModel(std::move(traces), {});
  }

  TemporaryFolder folder_;
};

inline bool Mentions(const std::vector<Note>& notes, const std::string& text) {
  return std::any_of(notes.begin(), notes.end(),
                     [&](const Note& note) { return note.text.find(text) != std::string::npos; });
}

inline Scenario Rank(uint32_t rank) {
  Scenario scenario;
  scenario.rank = rank;
  scenario.pid = 4000 + rank;
  return scenario;
}

inline trace::GraphLaunch Launch(uint64_t replay) {
  trace::GraphLaunch launch = {};
  launch.exec_id = 1;
  launch.stream_id = 1;
  launch.replay = replay;
  return launch;
}

}  // namespace lamplight::testing
