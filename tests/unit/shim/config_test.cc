// The environment's values, good and bad.
#include "shim/config.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace lamplight::shim {
namespace {

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"LAMPLIGHT_DISABLE", "LAMPLIGHT_TIMEOUT", "LAMPLIGHT_MODE",
                             "LAMPLIGHT_RING_MB", "LAMPLIGHT_DIR", "LAMPLIGHT_JOURNAL"}) {
      unsetenv(name);
    }
  }
};

TEST_F(ConfigTest, DefaultsWithoutVariables) {
  const Config config = Config::FromEnvironment();
  EXPECT_FALSE(config.disabled);
  EXPECT_EQ(config.timeout.count(), 10000);
  EXPECT_EQ(config.mode, Mode::kDefault);
  EXPECT_EQ(config.ring_bytes, 64u << 20);
  EXPECT_TRUE(config.complaints.empty());
}

TEST_F(ConfigTest, DisableTakesAnythingButZero) {
  setenv("LAMPLIGHT_DISABLE", "0", 1);
  EXPECT_FALSE(Config::Disabled());
  setenv("LAMPLIGHT_DISABLE", "1", 1);
  EXPECT_TRUE(Config::Disabled());
}

TEST_F(ConfigTest, TimeoutMayBeAFraction) {
  setenv("LAMPLIGHT_TIMEOUT", "1.5", 1);
  EXPECT_EQ(Config::FromEnvironment().timeout.count(), 1500);
}

TEST_F(ConfigTest, JournalIsOnUnlessZero) {
  EXPECT_TRUE(Config::FromEnvironment().journal);
  setenv("LAMPLIGHT_JOURNAL", "0", 1);
  EXPECT_FALSE(Config::FromEnvironment().journal);
  setenv("LAMPLIGHT_JOURNAL", "off", 1);
  const Config config = Config::FromEnvironment();
  EXPECT_TRUE(config.journal);
  EXPECT_NE(config.complaints.find("LAMPLIGHT_JOURNAL=off"), std::string::npos);
}

TEST_F(ConfigTest, BadValuesKeepTheDefaultAndAreNamed) {
  setenv("LAMPLIGHT_TIMEOUT", "10s", 1);
  setenv("LAMPLIGHT_MODE", "loud", 1);
  setenv("LAMPLIGHT_RING_MB", "-4", 1);
  const Config config = Config::FromEnvironment();
  EXPECT_EQ(config.timeout.count(), 10000);
  EXPECT_EQ(config.mode, Mode::kDefault);
  EXPECT_EQ(config.ring_bytes, 64u << 20);
  EXPECT_NE(config.complaints.find("LAMPLIGHT_TIMEOUT=10s"), std::string::npos);
  EXPECT_NE(config.complaints.find("LAMPLIGHT_MODE=loud"), std::string::npos);
  EXPECT_NE(config.complaints.find("LAMPLIGHT_RING_MB=-4"), std::string::npos);
}

}  // namespace
}  // namespace lamplight::shim
