// Reads the LAMPLIGHT_* variables. No state.
#include "shim/config.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
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
  config->complaints.push_back(std::string(name) + "=" + std::string(value) + " not understood; " +
                               fix);
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
    Complain(config, "LAMPLIGHT_MODE", text, "use default, strict or journal; default is in force");
  }
}

void ReadLogLevel(Config* config) {
  const std::string text(Variable("LAMPLIGHT_LOG"));
  if (text.empty()) return;
  struct Name {
    const char* name;
    LogLevel level;
  };
  // Nothing is written for `debug` alone.
  for (const Name& known : {Name{"error", LogLevel::kError}, Name{"warn", LogLevel::kWarning},
                            Name{"info", LogLevel::kInfo}, Name{"debug", LogLevel::kInfo}}) {
    if (strcasecmp(text.c_str(), known.name) != 0) continue;
    config->log_level = known.level;
    return;
  }
  Complain(config, "LAMPLIGHT_LOG", text, "use error, warn, info or debug; warn is in force");
}

// Digits only: a rank.
std::optional<int32_t> RankOf(std::string_view text) {
  constexpr int32_t kLimit = 1 << 24;
  int32_t rank = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rank);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return rank >= 0 && rank < kLimit ? std::optional(rank) : std::nullopt;
}

void ReadRank(Config* config) {
  const std::string_view text = Variable("LAMPLIGHT_RANK");
  if (text.empty()) return;
  config->rank = RankOf(text).value_or(-1);
  if (config->rank >= 0) return;
  Complain(config, "LAMPLIGHT_RANK", text,
           "use a number below 16777216; the launcher's variables are in force");
}

void ReadJournal(Config* config) {
  const std::string_view text = Variable("LAMPLIGHT_JOURNAL");
  config->journal = text != "0";
  if (text.empty() || text == "0" || text == "1") return;
  Complain(config, "LAMPLIGHT_JOURNAL", text, "use 1 or 0; 1 is in force");
}

// "0,2"; nothing where it is no list of ranks.
std::optional<std::vector<int32_t>> RanksOf(std::string_view list) {
  std::vector<int32_t> ranks;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    const std::optional<int32_t> rank = RankOf(list.substr(at, comma - at));
    if (!rank) return std::nullopt;
    ranks.push_back(*rank);
    at = comma + 1;
  }
  return ranks;
}

constexpr char kSwapFix[] =
    "use 1, 0, or ranks:0,2 (numbers and commas only) for some values of RANK; nothing is swapped";

// "ranks:0,2": only where RANK is one of them.
void ReadSwapOfRanks(Config* config, std::string_view text, std::string_view list) {
  const std::optional<std::vector<int32_t>> ranks = RanksOf(list);
  const std::optional<int32_t> own = RankOf(Variable("RANK"));
  if (!ranks) {
    Complain(config, "LAMPLIGHT_SWAP", text, kSwapFix);
  } else if (!own) {
    Complain(config, "LAMPLIGHT_SWAP", text,
             "RANK is no number here: set it for each process, or use 1; nothing is swapped");
  } else {
    config->swap = std::find(ranks->begin(), ranks->end(), *own) != ranks->end();
  }
}

void ReadSwap(Config* config) {
  constexpr std::string_view kRanks = "ranks:";
  const std::string_view text = Variable("LAMPLIGHT_SWAP");
  if (text.starts_with(kRanks)) {
    ReadSwapOfRanks(config, text, text.substr(kRanks.size()));
    return;
  }
  config->swap = text == "1";
  if (text.empty() || text == "0" || text == "1") return;
  Complain(config, "LAMPLIGHT_SWAP", text, kSwapFix);
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
  ReadLogLevel(&config);
  ReadRank(&config);
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
