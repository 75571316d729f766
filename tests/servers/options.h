// What the server was asked to do. Plain values, the same in every rank. Thread-safe once parsed.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace piecewise {

enum class Kernel { kLegacy, kGood, kBakedIndex, kLostUpdate };
enum class AlgorithmChoice { kOneShot, kTwoShot, kAuto };
// kNegativeZeroSum: rows whose sums a kernel that flushes subnormals to zero rounds to −0.
enum class Payload { kRandom, kSubnormal, kNegativeZeroSum };
enum class Fault { kNone, kHostStall, kDiverge, kOverlap, kSkip };

// Documented in --help.
enum ExitCode : int {
  kExitOk = 0,
  kExitCudaError = 2,
  kExitHang = 3,
  kExitWrongResults = 4,
  kExitRankDied = 5,
  kExitUsage = 64,
};

inline constexpr int kMaxWorld = 8;

struct Options {
  int world = 2;
  bool threads = false;
  Kernel kernel = Kernel::kGood;
  AlgorithmChoice algorithm = AlgorithmChoice::kOneShot;
  Payload payload = Payload::kRandom;
  int poison_token = -1;    // −1: all tokens
  int poison_request = -1;  // −1: half-way; not read for random payloads
  int poison_rank = 1;
  int poison_layer = -1;  // −1: the last one
  int requests = 200;
  uint64_t seed = 1;
  int eager_percent = 10;
  int layers = 2;
  int dim = 512;
  std::vector<int> buckets = {1, 8, 16, 32, 64};
  bool pdl = true;
  bool stream_memory = false;  // --shards stream-ordered
  Fault fault = Fault::kNone;
  int fault_request = -1;  // −1: half-way
  bool verify = false;
  bool lockstep = false;
  int hang_limit_s = 60;

  // Set by the parent in the rank processes that it starts.
  int rank = -1;
  int rendezvous_fd = -1;

  bool poison() const { return payload != Payload::kRandom; }
  int max_tokens() const { return buckets.back(); }
  bool TwoShotFor(int tokens) const;
};

// The message names the option, the value and what would be right.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct ParseResult {
  Options options;
  bool done = false;  // --help was printed
};

ParseResult ParseOptions(int argc, char** argv);

}  // namespace piecewise
