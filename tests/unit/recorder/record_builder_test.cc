// Records with strings and arrays: layout, truncation, limits.
#include "shim/recorder/record_builder.h"

#include <gtest/gtest.h>

#include <string>

namespace lamplight::shim {
namespace {

std::string_view TextOf(const trace::RecordHeader* record, trace::Str at) {
  return {reinterpret_cast<const char*>(record) + at.offset, at.bytes};
}

TEST(RecordBuilder, FixedRecordHasItsOwnSize) {
  RecordBuilder<trace::Node> builder(trace::RecordType::kNode);
  builder->node = 5;
  const trace::RecordHeader* record = builder.Finish();
  EXPECT_EQ(record->bytes, sizeof(trace::Node));
  EXPECT_EQ(record->type, static_cast<uint16_t>(trace::RecordType::kNode));
  EXPECT_EQ(reinterpret_cast<const trace::Node*>(record)->node, 5u);
}

TEST(RecordBuilder, StringsFollowTheStructAndTheLengthIsRoundedUp) {
  RecordBuilder<trace::Kernel> builder(trace::RecordType::kKernel);
  builder.SetString(&trace::Kernel::symbol, "_Z6kernel");
  builder.SetString(&trace::Kernel::descriptor, "");
  builder.SetString(&trace::Kernel::era, "C");
  const trace::RecordHeader* record = builder.Finish();
  const auto* kernel = reinterpret_cast<const trace::Kernel*>(record);
  EXPECT_EQ(TextOf(record, kernel->symbol), "_Z6kernel");
  EXPECT_EQ(TextOf(record, kernel->descriptor), "");
  EXPECT_EQ(TextOf(record, kernel->era), "C");
  EXPECT_EQ(kernel->symbol.offset, sizeof(trace::Kernel));
  EXPECT_EQ(record->bytes, sizeof(trace::Kernel) + 16);
}

TEST(RecordBuilder, StringsOfArrayElementsFollowTheArray) {
  RecordBuilder<trace::Site> builder(trace::RecordType::kSite);
  builder->frames = builder.AddArray<trace::Frame>(2);
  builder.Element<trace::Frame>(0).address = 0x1000;
  builder.Element<trace::Frame>(1).address = 0x2000;
  builder.SetString(1, &trace::Frame::symbol, "outer");
  builder.SetString(0, &trace::Frame::symbol, "inner");
  const trace::RecordHeader* record = builder.Finish();
  const auto* frames = reinterpret_cast<const trace::Frame*>(
      reinterpret_cast<const unsigned char*>(record) + sizeof(trace::Site));
  EXPECT_EQ(reinterpret_cast<const trace::Site*>(record)->frames, 2u);
  EXPECT_EQ(frames[0].address, 0x1000u);
  EXPECT_EQ(frames[1].address, 0x2000u);
  EXPECT_EQ(TextOf(record, frames[0].symbol), "inner");
  EXPECT_EQ(TextOf(record, frames[1].symbol), "outer");
}

TEST(RecordBuilder, RefusesAnArrayBehindAString) {
  RecordBuilder<trace::Site> builder(trace::RecordType::kSite);
  builder.AddString("too early");
  EXPECT_EQ(builder.AddArray<trace::Frame>(1), 0u);
}

TEST(RecordBuilder, KeepsAStringOfExactlyTheLimit) {
  RecordBuilder<trace::Text> builder(trace::RecordType::kText);
  const std::string text(RecordBuilder<trace::Text>::kMaxStringBytes, 'x');
  builder.SetString(&trace::Text::text, text);
  const trace::RecordHeader* record = builder.Finish();
  EXPECT_EQ(TextOf(record, reinterpret_cast<const trace::Text*>(record)->text), text);
}

TEST(RecordBuilder, CutsLongerStringsAtASequenceBoundary) {
  constexpr size_t kLimit = RecordBuilder<trace::Text>::kMaxStringBytes;
  for (size_t shift = 0; shift < 3; ++shift) {
    std::string text(shift, 'x');
    while (text.size() <= kLimit) text += "\u00e9";  // two bytes each
    RecordBuilder<trace::Text> builder(trace::RecordType::kText);
    builder.SetString(&trace::Text::text, text);
    const trace::RecordHeader* record = builder.Finish();
    std::string_view kept = TextOf(record, reinterpret_cast<const trace::Text*>(record)->text);
    ASSERT_LE(kept.size(), kLimit);
    ASSERT_GT(kept.size(), kLimit - 4);
    ASSERT_TRUE(kept.ends_with("\u2026"));
    kept.remove_suffix(3);
    EXPECT_EQ(kept, std::string_view(text).substr(0, kept.size()));
    EXPECT_EQ((kept.size() - shift) % 2, 0u) << "half a sequence";
  }
}

TEST(RecordBuilder, NeverOutgrowsTheLongestRecord) {
  RecordBuilder<trace::Site> builder(trace::RecordType::kSite);
  const uint32_t frames = builder.AddArray<trace::Frame>(1u << 20);
  EXPECT_EQ(frames, (trace::kMaxRecordBytes - sizeof(trace::Site)) / sizeof(trace::Frame));
  builder.SetString(0, &trace::Frame::symbol, std::string(100, 'y'));
  EXPECT_LE(builder.Finish()->bytes, trace::kMaxRecordBytes);

  RecordBuilder<trace::Text> strings(trace::RecordType::kText);
  for (int i = 0; i < 80; ++i) strings.AddString(std::string(16 << 10, 'z'));
  EXPECT_LE(strings.Finish()->bytes, trace::kMaxRecordBytes);
}

}  // namespace
}  // namespace lamplight::shim
