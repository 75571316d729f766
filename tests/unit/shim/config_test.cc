// The environment's values, good and bad.
#include "shim/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace lamplight::shim {
namespace {

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"LAMPLIGHT_DISABLE", "LAMPLIGHT_TIMEOUT", "LAMPLIGHT_MODE", "LAMPLIGHT_RING_MB",
          "LAMPLIGHT_EVIDENCE_MB", "LAMPLIGHT_DIR", "LAMPLIGHT_JOURNAL", "LAMPLIGHT_LOG",
          "LAMPLIGHT_SWAP", "LAMPLIGHT_RANK", "LAMPLIGHT_CUPTI", "LAMPLIGHT_DRIVER", "RANK"}) {
      unsetenv(name);
    }
  }

  static Config With(const char* name, const char* value) {
    setenv(name, value, 1);
    return Config::FromEnvironment();
  }
};

// That the one complaint names the value and says what is in force.
void ExpectComplaint(const Config& config, const std::string& value, const std::string& in_force) {
  ASSERT_EQ(config.complaints.size(), 1u) << value;
  const std::string& line = config.complaints.front();
  EXPECT_EQ(line.find(value + " not understood; "), 0u) << line;
  EXPECT_NE(line.find(in_force), std::string::npos) << line;
  EXPECT_EQ(line.find('\n'), std::string::npos) << line;
}

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
  ExpectComplaint(config, "LAMPLIGHT_JOURNAL=off", "1 is in force");
}

TEST_F(ConfigTest, BadValuesKeepTheDefaultAndHaveALineEach) {
  setenv("LAMPLIGHT_TIMEOUT", "10s", 1);
  setenv("LAMPLIGHT_MODE", "loud", 1);
  setenv("LAMPLIGHT_RING_MB", "-4", 1);
  const Config config = Config::FromEnvironment();
  EXPECT_EQ(config.timeout.count(), 10000);
  EXPECT_EQ(config.mode, Mode::kDefault);
  EXPECT_EQ(config.ring_bytes, 64u << 20);
  EXPECT_EQ(config.complaints,
            (std::vector<std::string>{
                "LAMPLIGHT_TIMEOUT=10s not understood; use seconds, 0.1 to 86400; 10 is in force",
                "LAMPLIGHT_RING_MB=-4 not understood; use MiB, 1 to 65536; 64 is in force",
                "LAMPLIGHT_MODE=loud not understood; use default, strict or journal; default is in "
                "force"}));
}

TEST_F(ConfigTest, LogLevelsHaveFourNamesInAnyCase) {
  EXPECT_EQ(Config::FromEnvironment().log_level, LogLevel::kWarning);
  EXPECT_EQ(With("LAMPLIGHT_LOG", "error").log_level, LogLevel::kError);
  EXPECT_EQ(With("LAMPLIGHT_LOG", "Warn").log_level, LogLevel::kWarning);
  EXPECT_EQ(With("LAMPLIGHT_LOG", "INFO").log_level, LogLevel::kInfo);
  EXPECT_EQ(With("LAMPLIGHT_LOG", "debug").log_level, LogLevel::kInfo);
  EXPECT_TRUE(Config::FromEnvironment().complaints.empty());
}

TEST_F(ConfigTest, OtherLogLevelsSilenceNothing) {
  for (const char* value : {"warning", "verbose", "off", "2"}) {
    const Config config = With("LAMPLIGHT_LOG", value);
    EXPECT_EQ(config.log_level, LogLevel::kWarning);
    ExpectComplaint(config, std::string("LAMPLIGHT_LOG=") + value,
                    "use error, warn, info or debug; warn is in force");
  }
}

TEST_F(ConfigTest, SwapNamesRanks) {
  setenv("RANK", "2", 1);
  EXPECT_TRUE(With("LAMPLIGHT_SWAP", "1").swap);
  EXPECT_TRUE(With("LAMPLIGHT_SWAP", "ranks:0,2").swap);
  EXPECT_TRUE(With("LAMPLIGHT_SWAP", "ranks:2").swap);
  EXPECT_FALSE(With("LAMPLIGHT_SWAP", "ranks:0,22").swap);
  EXPECT_FALSE(With("LAMPLIGHT_SWAP", "0").swap);
  EXPECT_TRUE(Config::FromEnvironment().complaints.empty());
}

TEST_F(ConfigTest, ListsThatAreNoRanksSwapNothing) {
  setenv("RANK", "0", 1);
  for (const char* value : {"ranks:", "ranks:a,b", "ranks:0, 2", "ranks:0,", "ranks:-1",
                            "ranks:0;2", "rank:0", "yes"}) {
    const Config config = With("LAMPLIGHT_SWAP", value);
    EXPECT_FALSE(config.swap) << value;
    ExpectComplaint(config, std::string("LAMPLIGHT_SWAP=") + value, "nothing is swapped");
  }
}

TEST_F(ConfigTest, RanksToSwapNeedRank) {
  ExpectComplaint(With("LAMPLIGHT_SWAP", "ranks:0"), "LAMPLIGHT_SWAP=ranks:0",
                  "set it for each process, or use 1; nothing is swapped");
  ExpectComplaint(With("RANK", "first"), "LAMPLIGHT_SWAP=ranks:0", "RANK is no number here");
}

TEST_F(ConfigTest, RankIsANumberOrNamed) {
  EXPECT_EQ(Config::FromEnvironment().rank, -1);
  EXPECT_EQ(With("LAMPLIGHT_RANK", "3").rank, 3);
  EXPECT_TRUE(Config::FromEnvironment().complaints.empty());
  for (const char* value : {"x", "-1", "3a", "16777216", "99999999999"}) {
    const Config config = With("LAMPLIGHT_RANK", value);
    EXPECT_EQ(config.rank, -1) << value;
    ExpectComplaint(config, std::string("LAMPLIGHT_RANK=") + value,
                    "the launcher's variables are in force");
  }
}

TEST_F(ConfigTest, OtherSourcesSayWhatIsInForce) {
  ExpectComplaint(With("LAMPLIGHT_CUPTI", "yes"), "LAMPLIGHT_CUPTI=yes", "it is off");
  unsetenv("LAMPLIGHT_CUPTI");
  ExpectComplaint(With("LAMPLIGHT_DRIVER", "yes"), "LAMPLIGHT_DRIVER=yes", "auto is in force");
}

}  // namespace
}  // namespace lamplight::shim
