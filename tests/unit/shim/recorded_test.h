// Common ground of tests that look at what the shim has recorded: a recorder that writes to a
// folder of the test's own, and its records as a reader finds them.
//
// One test uses one fixture on one thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/trace_reader.h"
#include "shim/recorder/recorder.h"
#include "tests/unit/recorder/temporary_folder.h"

namespace lamplight::shim {

class RecordedTest : public ::testing::Test {
 protected:
  RecordedTest() {
    RecorderOptions options;
    options.directory = folder_.path();
    options.ring_bytes = 1 << 16;
    recorder_ = Recorder::Open(options, &error_);
  }
  // Derived fixtures call it first: without a recorder there is no test.
  void SetUp() override { ASSERT_NE(recorder_, nullptr) << error_; }

  Recorder& recorder() { return *recorder_; }
  template <class T>
  std::vector<T> Events(trace::RecordType type) const {
    return Of<T>(type, Read()->events);
  }
  template <class T>
  std::vector<T> Definitions(trace::RecordType type) const {
    return Of<T>(type, Read()->definitions);
  }

 private:
  std::optional<lamplight::TraceFile> Read() const {
    std::string error;
    return ReadTrace(recorder_->path(), &error);
  }
  template <class T, class Views>
  static std::vector<T> Of(trace::RecordType type, const Views& views) {
    std::vector<T> records;
    for (const RecordView& view : views) {
      if (view.type() == type) records.push_back(*view.template As<T>());
    }
    return records;
  }

  const test::TemporaryFolder folder_;
  std::string error_;
  std::unique_ptr<Recorder> recorder_;
};

}  // namespace lamplight::shim
