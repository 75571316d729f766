// Reads the environment variables of README.md. Thread-safe.
#include "tests/device_sim/config.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace device_sim {
namespace {

constexpr int kMaxDevices = 16;

bool ReadNumber(const char* name, std::string_view text, int most, int* out) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > most) {
    std::fprintf(stderr, "device_sim: %s=%s: give a number from 0 to %d\n", name, text.data(),
                 most);
    return false;
  }
  *out = value;
  return true;
}

bool ReadDevices(std::string_view text, Config* config) {
  return ReadNumber("LAMPLIGHT_SIM_DEVICES", text, kMaxDevices, &config->devices);
}

bool ReadMaxNodes(std::string_view text, Config* config) {
  return ReadNumber("LAMPLIGHT_SIM_MAX_NODES", text, 1 << 20, &config->max_nodes);
}

bool ReadSideChannel(std::string_view text, Config* config) {
  if (text == "block") {
    config->side_channel = SideChannel::kBlocks;
  } else if (text == "fail") {
    config->side_channel = SideChannel::kFails;
  } else if (!text.empty()) {
    std::fprintf(stderr, "device_sim: LAMPLIGHT_SIM_SIDE_CHANNEL=%s: give block or fail\n",
                 text.data());
    return false;
  }
  return true;
}

bool ReadSwitch(const char* name, std::string_view text, bool* on) {
  if (text != "0" && text != "1" && !text.empty()) {
    std::fprintf(stderr, "device_sim: %s=%s: give 0 or 1\n", name, text.data());
    return false;
  }
  *on = text == "1";
  return true;
}

bool ReadLazyLoading(std::string_view text, Config* config) {
  return ReadSwitch("LAMPLIGHT_SIM_LAZY_LOADING", text, &config->lazy_loading);
}

bool ReadCuptiTaken(std::string_view text, Config* config) {
  return ReadSwitch("LAMPLIGHT_SIM_CUPTI_TAKEN", text, &config->cupti_taken);
}

bool ReadVariable(const char* name, bool (*read)(std::string_view, Config*), Config* config) {
  const char* text = std::getenv(name);
  return text == nullptr || read(text, config);
}

std::optional<Config> Read() {
  Config config;
  const bool good = ReadVariable("LAMPLIGHT_SIM_DEVICES", ReadDevices, &config) &&
                    ReadVariable("LAMPLIGHT_SIM_SIDE_CHANNEL", ReadSideChannel, &config) &&
                    ReadVariable("LAMPLIGHT_SIM_LAZY_LOADING", ReadLazyLoading, &config) &&
                    ReadVariable("LAMPLIGHT_SIM_MAX_NODES", ReadMaxNodes, &config) &&
                    ReadVariable("LAMPLIGHT_SIM_CUPTI_TAKEN", ReadCuptiTaken, &config);
  if (!good) return std::nullopt;
  return config;
}

}  // namespace

const std::optional<Config>& TheConfig() {
  static const std::optional<Config>& config = *new std::optional<Config>(Read());
  return config;
}

}  // namespace device_sim
