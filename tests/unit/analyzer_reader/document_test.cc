// docs/trace_format.md says of every record what the header file says.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "analyzer/record_fields.h"

namespace lamplight {
namespace {

// Of the file header's table.
struct Row {
  unsigned offset;
  const char* name;
  unsigned value;
};

TEST(TraceFormatDocument, NamesEveryTypeWithItsSize) {
  std::ifstream file(LAMPLIGHT_DOCS "/trace_format.md");
  const std::string document((std::istreambuf_iterator<char>(file)), {});
  for (unsigned type = 0; type < 256; ++type) {
    Dispatch(static_cast<trace::RecordType>(type),
             [&]<class T>(std::type_identity<T>, const char* name) {
               const std::string row = "\n| " + std::to_string(type) + " | " + name + " | " +
                                       std::to_string(sizeof(T)) + " ";
               EXPECT_NE(document.find(row), std::string::npos) << row;
             });
  }
}

TEST(TraceFormatDocument, NamesTheVersion) {
  std::ifstream file(LAMPLIGHT_DOCS "/trace_format.md");
  const std::string document((std::istreambuf_iterator<char>(file)), {});
  const std::string version =
      "Version **" + std::to_string(trace::kMajor) + "." + std::to_string(trace::kMinor) + "**";
  EXPECT_NE(document.find(version), std::string::npos);
  for (const auto& [offset, name, value] :
       {Row{8, "major", trace::kMajor}, Row{10, "minor", trace::kMinor}}) {
    const std::string row =
        "\n| " + std::to_string(offset) + " | 2 | " + name + " | " + std::to_string(value) + " |\n";
    EXPECT_NE(document.find(row), std::string::npos) << row;
  }
}

}  // namespace
}  // namespace lamplight
