// Template arguments of mangled names, and versions in paths.
#include <gtest/gtest.h>

#include "shim/lamport/mangled_name.h"
#include "shim/lamport/package_version.h"

namespace lamplight::lamport {
namespace {

using Arguments = std::vector<std::string_view>;

Arguments Split(std::string_view text) {
  const auto found = ParseTemplateArguments(text);
  return found ? found->arguments : Arguments{"none"};
}

TEST(MangledName, SplitsLiteralsAndTypes) {
  EXPECT_EQ(Split("ILh8E13__nv_bfloat16Lb1E6float4EEv"),
            (Arguments{"Lh8E", "13__nv_bfloat16", "Lb1E", "6float4"}));
  EXPECT_EQ(Split("IffLi4EEv"), (Arguments{"f", "f", "Li4E"}));
  EXPECT_EQ(Split("I13__nv_bfloat16LNS0_9QuantTypeE0ELb1ELi1E6float4EE"),
            (Arguments{"13__nv_bfloat16", "LNS0_9QuantTypeE0E", "Lb1E", "Li1E", "6float4"}));
  EXPECT_EQ(Split("IPKcSt5arrayIiLm3EENS_1aI1bEELin5EJffES2_DF16_E"),
            (Arguments{"PKc", "St5arrayIiLm3EE", "NS_1aI1bEE", "Lin5E", "JffE", "S2_", "DF16_"}));
  EXPECT_EQ(Split("IE"), Arguments{});
}

TEST(MangledName, GivesWhatFollows) { EXPECT_EQ(ParseTemplateArguments("IfEEv")->rest, "Ev"); }

TEST(MangledName, RefusesWhatIsNotAList) {
  for (const char* text : {"", "I", "f", "ILh8", "ILh8E", "I99abcE", "I0E", "IXadL_Z1fvEEE",
                           "I\xff E", "IL_Z1fvEE", "INE", "IS", "IT", "ID", "IDtE"}) {
    EXPECT_FALSE(ParseTemplateArguments(text).has_value()) << text;
  }
}

TEST(MangledName, ReadsLiterals) {
  EXPECT_EQ(LiteralValue("Lh8E"), 8u);
  EXPECT_EQ(LiteralValue("Lb0E"), 0u);
  EXPECT_EQ(LiteralValue("Lj4294967295E"), 4294967295u);
  for (const char* text : {"", "L", "LE", "LhE", "Lh4294967296E", "Lin1E", "f", "L4nameE", "Lh8"}) {
    EXPECT_FALSE(LiteralValue(text).has_value()) << text;
  }
}

TEST(PackageVersion, OrdersReleases) {
  const char* ordered[] = {"0.2.8",        "0.2.9.dev0",  "0.2.9rc1", "0.2.9",
                           "0.5.3",        "0.6.0rc1",    "0.6.0",    "0.6.11",
                           "0.6.11.post3", "0.6.12.dev0", "0.6.12a1", "0.6.12rc1",
                           "0.6.12rc2",    "0.6.12",      "0.6.13",   "1.0"};
  for (size_t i = 0; i < std::size(ordered); ++i) {
    for (size_t j = 0; j < std::size(ordered); ++j) {
      const int expected = i < j ? -1 : i > j ? 1 : 0;
      EXPECT_EQ(CompareVersions(ordered[i], ordered[j]), expected)
          << ordered[i] << " " << ordered[j];
    }
  }
  EXPECT_EQ(CompareVersions("0.6", "0.6.0"), 0);
  EXPECT_EQ(CompareVersions("0.6.4+cu129", "0.6.4"), 0);
}

TEST(PackageVersion, FindsTheFolderAfterThePackage) {
  EXPECT_EQ(VersionInPath("/root/.cache/flashinfer/0.6.4/90a/cached_ops/m/m.so", "flashinfer"),
            "0.6.4");
  EXPECT_EQ(VersionInPath("/flashinfer/src/flashinfer/0.7.2.post1/x", "flashinfer"), "0.7.2.post1");
  for (const char* path : {"", "/", "flashinfer", "/flashinfer/", "/flashinfer/data/x.so",
                           "/myflashinfer/0.6.4/x", "/flashinfer/.5/x", "/flashinfer/0./x"}) {
    EXPECT_EQ(VersionInPath(path, "flashinfer"), "") << path;
  }
  EXPECT_EQ(VersionInPath("/a/0.6.4/x", ""), "");
}

}  // namespace
}  // namespace lamplight::lamport
