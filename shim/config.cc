// Reads the LAMPLIGHT_* variables. No state.
#include "shim/config.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "shim/cupti/source.h"
#include "shim/driver/clients.h"

namespace lamplight::shim {
namespace {

std::string_view Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

void Complain(Config* config, const char* name, std::string_view value, const char* fix) {
  config->complaints +=
      std::string(name) + "=" + std::string(value) + " not understood; " + fix + "\n";
}

// Parses a positive number within [low, high]; leaves `out` alone otherwise.
template <class T>
void Number(Config* config, const char* name, double low, double high, const char* fix, T* out,
            double scale) {
  const std::string_view text = Variable(name);
  if (text.empty()) return;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(value >= low && value <= high)) {
    Complain(config, name, text, fix);
    return;
  }
  *out = static_cast<T>(static_cast<int64_t>(value * scale));
}

void ReadMode(Config* config) {
  const std::string_view text = Variable("LAMPLIGHT_MODE");
  if (text.empty() || text == "default") return;
  if (text == "strict") {
    config->mode = Mode::kStrict;
  } else if (text == "journal") {
    config->mode = Mode::kJournal;
  } else {
    Complain(config, "LAMPLIGHT_MODE", text, "use default, strict or journal");
  }
}

// "ranks:0,2": only where RANK is one of them.
bool NamesThisRank(std::string_view list) {
  const std::string_view rank = Variable("RANK");
  while (!list.empty() && !rank.empty()) {
    const size_t comma = list.find(',');
    if (list.substr(0, comma) == rank) return true;
    list = comma == std::string_view::npos ? "" : list.substr(comma + 1);
  }
  return false;
}

void ReadJournal(Config* config) {
  const std::string_view text = Variable("LAMPLIGHT_JOURNAL");
  config->journal = text != "0";
  if (text.empty() || text == "0" || text == "1") return;
  Complain(config, "LAMPLIGHT_JOURNAL", text, "use 1 or 0; 1 is in force");
}

void ReadSwap(Config* config) {
  constexpr std::string_view kRanks = "ranks:";
  const std::string_view text = Variable("LAMPLIGHT_SWAP");
  if (text.starts_with(kRanks)) {
    config->swap = NamesThisRank(text.substr(kRanks.size()));
    return;
  }
  config->swap = text == "1";
  if (text.empty() || text == "0" || text == "1") return;
  Complain(config, "LAMPLIGHT_SWAP", text,
           "use 1, 0, or ranks:0,2 for some values of RANK; nothing is swapped");
}

}  // namespace

bool Config::Disabled() {
  const std::string_view text = Variable("LAMPLIGHT_DISABLE");
  return !text.empty() && text != "0";
}

Config Config::FromEnvironment() {
  Config config;
  config.disabled = Disabled();
  config.directory = Variable("LAMPLIGHT_DIR");
  if (config.directory.empty()) config.directory = "lamplight-trace";
  config.job = Variable("LAMPLIGHT_JOB");
  config.abi_paths = Variable("LAMPLIGHT_ABI");
  config.log_level = Variable("LAMPLIGHT_LOG");
  if (config.log_level.empty()) config.log_level = "warn";
  Number(&config, "LAMPLIGHT_TIMEOUT", 0.1, 86400, "use seconds, 0.1 to 86400; 10 is in force",
         &config.timeout, 1000);
  Number(&config, "LAMPLIGHT_RING_MB", 1, 65536, "use MiB, 1 to 65536; 64 is in force",
         &config.ring_bytes, 1 << 20);
  Number(&config, "LAMPLIGHT_EVIDENCE_MB", 1, 65536, "use MiB, 1 to 65536; 256 is in force",
         &config.evidence_bytes, 1 << 20);
  ReadMode(&config);
  ReadSwap(&config);
  ReadJournal(&config);
  if (!cupti::Wish::FromEnvironment().understood) {
    Complain(&config, "LAMPLIGHT_CUPTI", Variable("LAMPLIGHT_CUPTI"),
             "use 1, auto, 0, or the path of libcupti.so; it is off");
  }
  if (!driver::Wish::FromEnvironment().understood) {
    Complain(&config, "LAMPLIGHT_DRIVER", Variable("LAMPLIGHT_DRIVER"),
             "use auto, 1 or 0; auto is in force");
  }
  return config;
}

const char* ModeName(Mode mode) {
  switch (mode) {
    case Mode::kStrict:
      return "strict";
    case Mode::kJournal:
      return "journal";
    case Mode::kDefault:
      break;
  }
  return "default";
}

}  // namespace lamplight::shim
