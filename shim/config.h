// What the environment asks of the shim, read once. Immutable afterwards, safe from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "shim/log.h"

namespace lamplight::shim {

enum class Mode {
  kDefault,  // one snapshot after the last Lamport node of a replay
  kStrict,   // and one before the first
  kJournal,  // and one after every Lamport node
};

struct Config {
  bool disabled = false;                     // LAMPLIGHT_DISABLE
  std::string directory;                     // LAMPLIGHT_DIR
  std::string job;                           // LAMPLIGHT_JOB
  std::string abi_paths;                     // LAMPLIGHT_ABI, separated by ':'
  LogLevel log_level = LogLevel::kWarning;   // LAMPLIGHT_LOG: error, warn, info, debug (as info)
  int32_t rank = -1;                         // LAMPLIGHT_RANK; -1: the launcher's variables say it
  std::chrono::milliseconds timeout{10000};  // LAMPLIGHT_TIMEOUT, seconds
  Mode mode = Mode::kDefault;                // LAMPLIGHT_MODE
  bool swap = false;                         // LAMPLIGHT_SWAP: 1, or ranks:0,2 of RANK
  bool journal = true;                       // LAMPLIGHT_JOURNAL: 0 tells our kernels to leave none
  uint64_t ring_bytes = 64ull << 20;         // LAMPLIGHT_RING_MB
  uint64_t evidence_bytes = 256ull << 20;    // LAMPLIGHT_EVIDENCE_MB, most payload read per hang
  // One line for each value that was not understood: what would be, and what is in force.
  std::vector<std::string> complaints;

  static Config FromEnvironment();
  static bool Disabled();  // only the kill switch
};

const char* ModeName(Mode mode);

}  // namespace lamplight::shim
