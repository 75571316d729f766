// What needs a second process: IPC, exit, fork, and settings from the environment.
#include <sys/wait.h>

#include <cstdio>
#include <string>

#include "fixture.h"

namespace device_sim_test {
namespace {

struct Outcome {
  std::string output;
  int exit_code = -1;
};

class Probe {
 public:
  explicit Probe(const std::string& arguments, const std::string& environment = "")
      : pipe_(popen((environment + " timeout -s KILL 30 " DEVICE_SIM_PROBE " " + arguments).c_str(),
                    "r")) {}
  Outcome Finish() {
    Outcome outcome;
    char buffer[256];
    while (pipe_ != nullptr && std::fgets(buffer, sizeof buffer, pipe_) != nullptr) {
      outcome.output += buffer;
    }
    const int status = pclose(pipe_);
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
  }

 private:
  FILE* pipe_;
};

std::string Hex(const cudaIpcMemHandle_t& handle) {
  std::string text;
  for (const char byte : handle.reserved) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(byte));
    text += digits;
  }
  return text;
}

using ProcessTest = DeviceTest;

TEST_F(ProcessTest, SharesMemoryByIpcHandle) {
  cudaIpcMemHandle_t handle;
  ASSERT_EQ(cudaSuccess, cudaIpcGetMemHandle(&handle, words_));
  Probe probe("answer " + Hex(handle));
  LaunchAwait(stream_, words_ + 1);
  Pause();
  EXPECT_EQ(cudaErrorNotReady, cudaStreamQuery(stream_));
  LaunchStore(other_, words_, 1);
  EXPECT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  EXPECT_EQ(2u, Word(1));
  const Outcome outcome = probe.Finish();
  EXPECT_EQ("cudaSuccess\ncudaSuccess\ncudaSuccess\n", outcome.output);
  EXPECT_EQ(0, outcome.exit_code);
}

TEST_F(ProcessTest, OpensOneMappingForOneHandle) {
  LaunchStore(stream_, words_, 77);
  ASSERT_EQ(cudaSuccess, cudaStreamSynchronize(stream_));
  cudaIpcMemHandle_t handle;
  ASSERT_EQ(cudaSuccess, cudaIpcGetMemHandle(&handle, words_));
  EXPECT_EQ("1 cudaSuccess 77 cudaErrorInvalidValue\n",
            Probe("open-twice " + Hex(handle)).Finish().output);
}

TEST_F(ProcessTest, RefusesHandlesOfDeadProcesses) {
  std::string handle = Probe("export").Finish().output;
  handle.pop_back();
  ASSERT_EQ(128u, handle.size());
  EXPECT_EQ("cudaErrorInvalidResourceHandle\n", Probe("answer " + handle).Finish().output);
}

TEST_F(ProcessTest, ExitsAlthoughAKernelIsStuck) {
  const Outcome outcome = Probe("exit-stuck").Finish();
  EXPECT_EQ("leaving\n", outcome.output);
  EXPECT_EQ(7, outcome.exit_code);
}

TEST_F(ProcessTest, SideChannelWorksByDefault) {
  EXPECT_EQ("cudaSuccess\ncudaSuccess\n", Probe("side-channel 10000").Finish().output);
}

TEST_F(ProcessTest, SideChannelBlocksOnDemand) {
  EXPECT_EQ("cudaSuccess\ncudaErrorNotReady\n",
            Probe("side-channel 300", "LAMPLIGHT_SIM_SIDE_CHANNEL=block").Finish().output);
}

TEST_F(ProcessTest, SideChannelFailsOnDemand) {
  EXPECT_EQ("cudaErrorUnknown\ncudaSuccess\n",
            Probe("side-channel 10000", "LAMPLIGHT_SIM_SIDE_CHANNEL=fail").Finish().output);
}

TEST_F(ProcessTest, LoadsKernelsBehindPollingOnesByDefault) {
  EXPECT_EQ("loaded\n", Probe("load 10000").Finish().output);
}

TEST_F(ProcessTest, LazyLoadingWaitsBehindPollingKernels) {
  EXPECT_EQ("blocked\n", Probe("load 300", "LAMPLIGHT_SIM_LAZY_LOADING=1").Finish().output);
}

TEST_F(ProcessTest, HasAsManyDevicesAsAskedFor) {
  EXPECT_EQ("cudaSuccess 4\n", Probe("devices", "LAMPLIGHT_SIM_DEVICES=4").Finish().output);
  EXPECT_EQ("cudaErrorNoDevice -1\n", Probe("devices", "LAMPLIGHT_SIM_DEVICES=0").Finish().output);
}

TEST_F(ProcessTest, SaysWhichSettingIsWrong) {
  EXPECT_EQ(
      "device_sim: LAMPLIGHT_SIM_DEVICES=many: give a number from 0 to 16\n"
      "cudaErrorNoDevice -1\n",
      Probe("devices 2>&1", "LAMPLIGHT_SIM_DEVICES=many").Finish().output);
}

TEST_F(ProcessTest, KeepsDevicesApart) {
  EXPECT_EQ("10 1\n", Probe("two-devices", "LAMPLIGHT_SIM_DEVICES=2").Finish().output);
}

TEST_F(ProcessTest, FailsInAChildForkedAfterUse) {
  EXPECT_EQ("cudaErrorInitializationError\n", Probe("use-after-fork").Finish().output);
}

TEST_F(ProcessTest, WorksInAChildForkedBeforeUse) {
  EXPECT_EQ("cudaSuccess\n", Probe("fork-before-use").Finish().output);
}

}  // namespace
}  // namespace device_sim_test
