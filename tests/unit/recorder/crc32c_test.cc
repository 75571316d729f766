// The checksum against published values, and the two implementations against each other.
#include "shim/recorder/crc32c.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string_view>
#include <vector>

namespace lamplight::shim {
namespace {

TEST(Crc32c, MatchesPublishedValues) {
  constexpr std::string_view kDigits = "123456789";
  EXPECT_EQ(Crc32c(kDigits.data(), kDigits.size()), 0xe3069283u);
  EXPECT_EQ(Crc32cSoftware(kDigits.data(), kDigits.size()), 0xe3069283u);
  const std::vector<unsigned char> zeros(32, 0);  // RFC 3720, B.4
  EXPECT_EQ(Crc32c(zeros.data(), zeros.size()), 0x8a9136aau);
  const std::vector<unsigned char> ones(32, 0xff);
  EXPECT_EQ(Crc32c(ones.data(), ones.size()), 0x62a8ab43u);
}

TEST(Crc32c, HardwareAgreesWithTableAtEverySizeAndAlignment) {
  std::vector<unsigned char> bytes(300);
  std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(7));
  for (size_t start = 0; start < 9; ++start) {
    for (size_t size = 0; start + size <= bytes.size(); ++size) {
      ASSERT_EQ(Crc32c(&bytes[start], size), Crc32cSoftware(&bytes[start], size)) << start;
    }
  }
}

TEST(Crc32c, ContinuesAnEarlierCall) {
  constexpr std::string_view kText = "the ring went round";
  const uint32_t whole = Crc32c(kText.data(), kText.size());
  for (size_t cut = 0; cut <= kText.size(); ++cut) {
    const uint32_t first = Crc32c(kText.data(), cut);
    EXPECT_EQ(Crc32c(kText.data() + cut, kText.size() - cut, first), whole);
    EXPECT_EQ(Crc32cSoftware(kText.data() + cut, kText.size() - cut, first), whole);
  }
}

}  // namespace
}  // namespace lamplight::shim
