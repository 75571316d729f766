// What LAMPLIGHT_CUPTI may say, and where the library is looked for.
#include "shim/cupti/source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "shim/cupti/library.h"
#include "tests/unit/recorder/temporary_folder.h"

namespace lamplight::shim::cupti {
namespace {

Wish WishFor(const char* value) {
  setenv("LAMPLIGHT_CUPTI", value, 1);
  const Wish wish = Wish::FromEnvironment();
  unsetenv("LAMPLIGHT_CUPTI");
  return wish;
}

TEST(CuptiWish, IsOffUnlessAskedFor) {
  unsetenv("LAMPLIGHT_CUPTI");
  EXPECT_EQ(Wish::FromEnvironment().kind, Wish::kOff);
  EXPECT_EQ(WishFor("").kind, Wish::kOff);
  EXPECT_EQ(WishFor("0").kind, Wish::kOff);
  EXPECT_TRUE(WishFor("0").understood);
}

TEST(CuptiWish, TakesAPathForTheLibrary) {
  EXPECT_EQ(WishFor("1").kind, Wish::kOn);
  EXPECT_EQ(WishFor("auto").kind, Wish::kAuto);
  const Wish wish = WishFor("/opt/libcupti.so.13");
  EXPECT_EQ(wish.kind, Wish::kOn);
  EXPECT_EQ(wish.library, "/opt/libcupti.so.13");
}

TEST(CuptiWish, RefusesOtherWords) {
  EXPECT_EQ(WishFor("yes").kind, Wish::kOff);
  EXPECT_FALSE(WishFor("yes").understood);
}

class CuptiLibrary : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_ / "lib64"); }
  void TearDown() override { unsetenv("CUDA_HOME"); }

  const test::TemporaryFolder own_;
  const std::filesystem::path folder_ = own_.path();
};

TEST_F(CuptiLibrary, IsLookedForInTheToolkit) {
  const std::string file = folder_ / "lib64" / "libcupti.so.13";
  std::ofstream(file) << "x";
  setenv("CUDA_HOME", folder_.c_str(), 1);
  const std::vector<std::string> found = Candidates();
  const auto by_name = std::find(found.begin(), found.end(), "libcupti.so.13");
  const auto in_toolkit = std::find(found.begin(), found.end(), file);
  ASSERT_NE(in_toolkit, found.end());
  // The loader's own path goes first: LD_LIBRARY_PATH is somebody's wish.
  EXPECT_LT(by_name, in_toolkit);
}

TEST_F(CuptiLibrary, ThatIsNoLibraryIsNamed) {
  const std::string file = folder_ / "libcupti.so.13";
  std::ofstream(file) << "no library";
  Library library;
  std::string why;
  EXPECT_FALSE(Load(file, &library, &why));
  EXPECT_NE(why.find(file), std::string::npos) << why;
}

TEST_F(CuptiLibrary, WithoutTheInterfaceIsRefused) {
  Library library;
  std::string why;
  EXPECT_FALSE(Load("libm.so.6", &library, &why));
  EXPECT_NE(why.find("lacks CUPTI's callback interface"), std::string::npos) << why;
}

}  // namespace
}  // namespace lamplight::shim::cupti
