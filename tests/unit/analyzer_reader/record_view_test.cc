// Text that comes out of a trace, checksums, names.
#include "analyzer/record_view.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "analyzer/crc32c.h"
#include "analyzer/demangle.h"

namespace lamplight {
namespace {

TEST(Sanitized, EscapesControlCharactersAndInvalidUtf8) {
  EXPECT_EQ(Sanitized("a\x1b[2Jb\r\n\t"), "a\\x1b[2Jb\\x0d\\x0a\\x09");
  EXPECT_EQ(Sanitized(std::string_view("\0\x7f", 2)), "\\x00\\x7f");
  EXPECT_EQ(Sanitized("\xc3\xa9 \xe2\x80\xa6 \xf0\x9f\x94\xa5"),
            "\xc3\xa9 \xe2\x80\xa6 \xf0\x9f\x94\xa5");
  EXPECT_EQ(Sanitized("\xff\xc0\x80"), "\\xff\\xc0\\x80");           // overlong
  EXPECT_EQ(Sanitized("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(Sanitized("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond Unicode
  EXPECT_EQ(Sanitized("\xe2\x80"), "\\xe2\\x80");                    // cut
  EXPECT_EQ(Sanitized("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b"
            "31m");  // C1 control
}

TEST(Sanitized, KeepsNewlinesOnlyWhereAsked) {
  EXPECT_EQ(Sanitized("a\nb", true), "a\nb");
  EXPECT_EQ(Sanitized("a\nb\x1b", true), "a\nb\\x1b");
}

TEST(Crc32c, MatchesThePublishedCheckValue) {
  const std::string digits = "123456789";
  EXPECT_EQ(Crc32c(std::as_bytes(std::span(digits))), 0xe3069283u);
  EXPECT_EQ(Crc32cByTable(std::as_bytes(std::span(digits))), 0xe3069283u);
}

TEST(Crc32c, TableAndInstructionAgreeAtEveryLengthAndContinue) {
  std::mt19937 random(7);
  std::vector<std::byte> bytes(200);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  for (size_t length = 0; length <= bytes.size(); ++length) {
    const auto all = std::span(bytes).first(length);
    EXPECT_EQ(Crc32c(all), Crc32cByTable(all));
    EXPECT_EQ(Crc32c(all.subspan(length / 3), Crc32c(all.first(length / 3))), Crc32c(all));
  }
}

TEST(Demangled, NamesKernelsAndLeavesTheRest) {
  EXPECT_EQ(Demangled("_ZN6server7CaptureEi"), "server::Capture(int)");
  EXPECT_EQ(Demangled("main"), "main");
  EXPECT_EQ(Demangled("_Znonsense"), "_Znonsense");
  EXPECT_EQ(Demangled(""), "");
  EXPECT_EQ(Demangled("_ZN10flashinfer22trtllm_mnnvl_allreduce28oneshotAllreduceFusionKernel"
                      "ILh8E13__nv_bfloat16Lb1E6float4EEvPT0_S5_PKS4_S7_S7_PS5_S5_iifiPj")
                .substr(0, 66),
            "void flashinfer::trtllm_mnnvl_allreduce::oneshotAllreduceFusionKer");
}

// a<X, X> whose first argument stands in full and whose second refers to it: each level doubles.
TEST(Demangled, ExponentialNamesStayMangledOrShort) {
  for (const int depth : {4, 12, 20, 30, 200}) {
    std::string type = "1aIiiE";  // S_ is a, S0_ is a<int, int>
    for (int i = 0; i < depth; ++i) {
      const char digit = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i % 36];
      type = "1aI" + type + "S" + (i < 36 ? "" : "1") + digit + "_E";
    }
    const auto begin = std::chrono::steady_clock::now();
    const std::string name = Demangled("_Z1f" + type);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2)) << depth;
    EXPECT_LT(name.size(), 64u << 20) << depth;
  }
}

}  // namespace
}  // namespace lamplight
