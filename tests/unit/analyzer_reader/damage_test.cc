// Whatever is done to a trace, reading, diagnosing and reporting it ends in a report that says what
// was lost, or in an error that names the file.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "analyzer/detectors/registry.h"
#include "analyzer/model_builder.h"
#include "analyzer/report/json_report.h"
#include "analyzer/report/text_report.h"
#include "analyzer/trace_reader.h"
#include "tests/unit/analyzer_reader/scenario.h"
#include "tests/unit/analyzer_reader/trace_builder.h"

namespace lamplight {
namespace {

using testing::BuildScenario;
using testing::Bytes;
using testing::Scenario;
using testing::TemporaryFolder;

struct Outcome {
  bool readable = false;
  bool complaint = false;  // a loss or a note beside the report, or an error
};

class Damage : public ::testing::Test {
 protected:
  Damage() {
    Scenario other;
    other.rank = 1;
    other.pid = 4001;
    testing::WriteFile(folder_.File("1.lamptrace"), BuildScenario(other).File());
    Scenario own;
    own.ring_bytes = 4096;
    own.hang_ends = true;
    good_ = BuildScenario(own).File();
  }

  // The damaged rank 0 beside a whole rank 1, through everything that a report runs through.
  Outcome Report(const Bytes& damaged) {
    testing::WriteFile(folder_.File("0.lamptrace"), damaged);
    std::vector<TraceFile> traces;
    std::vector<std::string> errors;
    Outcome outcome;
    for (const char* name : {"0.lamptrace", "1.lamptrace"}) {
      std::string error;
      if (auto trace = ReadTrace(folder_.File(name), &error)) {
        outcome.readable |= name[0] == '0';
        traces.push_back(*std::move(trace));
      } else {
        EXPECT_EQ(error.find(folder_.File(name)), 0u) << error;
        errors.push_back(error);
      }
    }
    const Model model = BuildModel(std::move(traces), errors);
    outcome.complaint = !model.losses.empty() || !model.notes.empty();
    const Detection diagnosis = Diagnose(model);
    EXPECT_FALSE(TextReport(model, diagnosis).empty());
    EXPECT_TRUE(nlohmann::json::accept(JsonReport(model, diagnosis)));
    return outcome;
  }

  // Places of the records in the file, the ring's first.
  std::vector<std::pair<uint64_t, uint32_t>> Records() {
    testing::WriteFile(folder_.File("good"), good_);
    std::string error;
    const auto trace = ReadTrace(folder_.File("good"), &error);
    EXPECT_TRUE(trace && trace->losses.empty()) << error;
    std::vector<std::pair<uint64_t, uint32_t>> records;
    for (const auto* views : {&trace->events, &trace->definitions}) {
      for (const RecordView& view : *views) {
        records.emplace_back(view.file_offset(), view.header().bytes);
      }
    }
    return records;
  }

  TemporaryFolder folder_;
  Bytes good_;
};

TEST_F(Damage, WholeTracesGiveNoComplaint) {
  const Outcome outcome = Report(good_);
  EXPECT_TRUE(outcome.readable);
  EXPECT_FALSE(outcome.complaint);
}

TEST_F(Damage, EveryBitOfTheHeaderMayFlip) {
  // What changes nothing that the reader needs, or only says that time went by.
  const std::set<size_t> silent_words = {
      offsetof(trace::FileHeader, last_drain_ns) / 8, offsetof(trace::FileHeader, closed_ns) / 8,
      offsetof(trace::FileHeader, defs_bytes) / 8, offsetof(trace::FileHeader, ring_head) / 8};
  for (size_t bit = 0; bit < sizeof(trace::FileHeader) * 8; ++bit) {
    Bytes damaged = good_;
    damaged[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    const Outcome outcome = Report(damaged);
    const bool magic = bit / 8 < sizeof(trace::kMagic);
    EXPECT_EQ(outcome.readable, !magic) << "bit " << bit;
    EXPECT_TRUE(outcome.complaint || silent_words.contains(bit / 64)) << "bit " << bit;
  }
}

// Every seventh bit of every record; every byte is hit.
TEST_F(Damage, EveryByteOfEveryRecordMayFlip) {
  for (const auto& [offset, bytes] : Records()) {
    for (size_t bit = 0; bit < size_t{bytes} * 8; bit += 7) {
      Bytes damaged = good_;
      damaged[offset + bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
      const Outcome outcome = Report(damaged);
      EXPECT_TRUE(outcome.readable && outcome.complaint)
          << "bit " << bit % 8 << " of byte " << offset + bit / 8;
    }
  }
}

TEST_F(Damage, FileMayEndAnywhere) {
  for (size_t size = 0; size < good_.size(); size += 64) {
    const Outcome outcome = Report(Bytes(good_.begin(), good_.begin() + static_cast<long>(size)));
    EXPECT_TRUE(outcome.complaint) << size;
    const bool first_event = size >= trace::kHeaderBytes + sizeof(trace::ClockAnchor);
    EXPECT_EQ(outcome.readable, first_event) << size;
  }
}

// The checksum of a hostile record is right: only the content lies.
TEST_F(Damage, EveryFieldOfEveryRecordMayLie) {
  for (const auto& [offset, bytes] : Records()) {
    for (size_t at = sizeof(trace::RecordHeader); at + 4 <= bytes; at += 4) {
      for (const uint32_t lie : {0u, 1u, 0x7fffffffu, 0xfffffffeu, 0xffffffffu}) {
        Bytes damaged = good_;
        std::memcpy(damaged.data() + offset + at, &lie, sizeof(lie));
        Bytes record(damaged.begin() + static_cast<long>(offset),
                     damaged.begin() + static_cast<long>(offset + bytes));
        testing::Seal(&record);
        std::copy(record.begin(), record.end(), damaged.begin() + static_cast<long>(offset));
        EXPECT_TRUE(Report(damaged).readable) << offset + at;
      }
    }
  }
}

}  // namespace
}  // namespace lamplight
