// Command line of the server.
#include "options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <utility>

namespace piecewise {
namespace {

constexpr int kTwoShotThresholdBytes = 64 << 10;
constexpr int kMaxDim = 8 * 1024 * 8;  // 8 blocks of a cluster, 1024 threads, 8 elements each

constexpr char kFooter[] = R"(
Exit codes: 0 all requests served; 2 a CUDA call failed; 3 no request finished within --hang-limit;
4 --verify found wrong results; 5 a rank died of a signal; 64 bad arguments.

Checksums (FNV-64 over the outputs of all requests, in order) go to stdout, progress to stderr.)";

void AddWorkload(CLI::App& app, Options& o) {
  app.option_defaults()->always_capture_default();
  app.add_option("--world", o.world, "Number of ranks")->check(CLI::IsMember({2, 4, 8}));
  app.add_option("--requests", o.requests, "Requests to serve")->check(CLI::Range(1, 1 << 30));
  app.add_option("--seed", o.seed, "Seed of requests and payloads");
  app.add_option("--eager-percent", o.eager_percent, "Share of requests served without a graph")
      ->check(CLI::Range(0, 100));
  app.add_option("--layers", o.layers, "All-reduce calls per request")->check(CLI::Range(1, 64));
  app.add_option("--dim", o.dim, "Hidden size, a multiple of 8")->check(CLI::Range(8, kMaxDim));
  app.add_option("--buckets", o.buckets, "Token buckets, one captured graph each")->delimiter(',');
  app.add_option("--hang-limit", o.hang_limit_s,
                 "Seconds without a finished request until the server gives up; 0: never")
      ->check(CLI::Range(0, 1 << 20));
  app.option_defaults()->always_capture_default(false);
  app.add_flag("--verify", o.verify, "Check every output against a reference on the host");
  app.add_flag("--lockstep", o.lockstep,
               "No rank starts a request before all have finished the last");
  app.add_flag("!--no-pdl", o.pdl, "Launch the collectives without programmatic dependence");
}

template <class T>
using Choices = std::vector<std::pair<const char*, T>>;

// An option whose value is one of a few words; the first is the default.
template <class T>
void AddChoice(CLI::App& app, const char* name, T& target, const Choices<T>& choices,
               const std::string& description) {
  std::string words;
  for (const auto& [word, value] : choices) words += (words.empty() ? "" : "|") + std::string(word);
  const auto choose = [name, &target, choices, words](const std::string& given) {
    for (const auto& [word, value] : choices) {
      if (given != word) continue;
      target = value;
      return;
    }
    throw CLI::ValidationError(name, "'" + given + "' is not one of " + words);
  };
  app.add_option_function<std::string>(name, choose, description)
      ->type_name(words)
      ->default_str(choices.front().first);
}

void AddVariants(CLI::App& app, Options& o) {
  AddChoice<bool>(app, "--ranks", o.threads, {{"processes", false}, {"threads", true}},
                  "Ranks as processes of their own, or as threads of one process");
  AddChoice<Kernel>(app, "--kernel", o.kernel,
                    {{"good", Kernel::kGood},
                     {"legacy", Kernel::kLegacy},
                     {"baked-index", Kernel::kBakedIndex},
                     {"lost-update", Kernel::kLostUpdate}},
                    "Which all-reduce");
  AddChoice<bool>(app, "--shards", o.stream_memory, {{"static", false}, {"stream-ordered", true}},
                  "Memory of the shards; stream-ordered: by cudaMallocAsync for each request, so "
                  "that the captured graphs own memory");
  AddChoice<AlgorithmChoice>(app, "--algorithm", o.algorithm,
                             {{"oneshot", AlgorithmChoice::kOneShot},
                              {"twoshot", AlgorithmChoice::kTwoShot},
                              {"auto", AlgorithmChoice::kAuto}},
                             "auto: one-shot for small requests");
}

void AddTrouble(CLI::App& app, Options& o) {
  AddChoice<Payload>(app, "--payload", o.payload,
                     {{"random", Payload::kRandom},
                      {"subnormal", Payload::kSubnormal},
                      {"negative-zero-sum", Payload::kNegativeZeroSum}},
                     "subnormal: from --poison-request on, one rank's shard has negative bf16 "
                     "subnormals in some odd elements; negative-zero-sum: all ranks' shards add up "
                     "to +0 beside a tiny negative value, -0 where subnormals are flushed");
  app.add_option("--poison-request", o.poison_request,
                 "First request with that payload, served by a graph (default: half-way)");
  app.add_option("--poison-token", o.poison_token,
                 "Only token that gets them, modulo the request's tokens; -1: all")
      ->check(CLI::Range(-1, 1 << 20));
  app.add_option("--poison-rank", o.poison_rank, "Rank that sends subnormals; -1: all ranks");
  app.add_option("--poison-layer", o.poison_layer, "All-reduce they go into (default: the last)");
  AddChoice<Fault>(app, "--fault", o.fault,
                   {{"none", Fault::kNone},
                    {"host-stall", Fault::kHostStall},
                    {"diverge", Fault::kDiverge},
                    {"overlap", Fault::kOverlap},
                    {"skip", Fault::kSkip}},
                   "host-stall: a host function blocks rank 1 in front of the request; diverge: "
                   "rank 1 takes another bucket; overlap: a second stream of rank 0 uses the "
                   "workspace at the same time; skip: rank 1 leaves out an eager request");
  app.add_option("--fault-request", o.fault_request, "Request with the fault (default: half-way)");
  app.add_option("--rank", o.rank)->group("");
  app.add_option("--rendezvous-fd", o.rendezvous_fd)->group("");
}

[[noreturn]] void Refuse(const std::string& message) { throw UsageError(message); }

void CheckBuckets(Options& o) {
  std::sort(o.buckets.begin(), o.buckets.end());
  o.buckets.erase(std::unique(o.buckets.begin(), o.buckets.end()), o.buckets.end());
  if (o.buckets.empty() || o.buckets.front() < 1 || o.buckets.back() > 8192) {
    Refuse("--buckets: token counts must lie between 1 and 8192");
  }
  if (o.fault == Fault::kDiverge && o.buckets.size() < 2) {
    Refuse("--fault diverge needs at least two --buckets");
  }
}

int RequestOr(int given, const Options& o, const char* name) {
  if (given < 0) return o.requests / 2;
  if (given >= o.requests) {
    Refuse(std::string(name) + ": request " + std::to_string(given) +
           " is not among the --requests 0.." + std::to_string(o.requests - 1));
  }
  return given;
}

void Settle(Options& o) {
  if (o.rank >= 0 && (o.rank >= o.world || o.rendezvous_fd < 0)) {
    Refuse("--rank is for the server's own use: it starts its ranks itself");
  }
  CheckBuckets(o);
  if (o.dim % 8 != 0) Refuse("--dim: " + std::to_string(o.dim) + " is not a multiple of 8");
  if (o.poison_rank < -1 || o.poison_rank >= o.world) {
    Refuse("--poison-rank: " + std::to_string(o.poison_rank) + " is not a rank of --world " +
           std::to_string(o.world));
  }
  if (o.poison_layer < 0) o.poison_layer = o.layers - 1;
  if (o.poison_layer >= o.layers) {
    Refuse("--poison-layer: " + std::to_string(o.poison_layer) + " is not one of --layers 0.." +
           std::to_string(o.layers - 1));
  }
  if (o.kernel == Kernel::kBakedIndex && o.algorithm != AlgorithmChoice::kOneShot) {
    Refuse("--kernel baked-index has only --algorithm oneshot");
  }
  o.poison_request = RequestOr(o.poison_request, o, "--poison-request");
  o.fault_request = RequestOr(o.fault_request, o, "--fault-request");
  // Out of step, stale words can also let a rank run so far ahead that it hangs; and a skipped
  // request shows as a divergence.
  const bool stale = o.kernel == Kernel::kBakedIndex || o.kernel == Kernel::kLostUpdate;
  if (stale || o.fault == Fault::kSkip) o.lockstep = true;
}

}  // namespace

bool Options::TwoShotFor(int tokens) const {
  if (algorithm != AlgorithmChoice::kAuto) return algorithm == AlgorithmChoice::kTwoShot;
  return tokens * dim * 2 * world > kTwoShotThresholdBytes;
}

ParseResult ParseOptions(int argc, char** argv) {
  ParseResult result;
  CLI::App app("Serves random requests with captured piecewise graphs of all-reduce + RMSNorm.",
               "piecewise_server");
  AddWorkload(app, result.options);
  AddVariants(app, result.options);
  AddTrouble(app, result.options);
  app.footer(kFooter);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    result.done = true;
    return result;
  } catch (const CLI::ParseError& error) {
    Refuse(error.what());
  }
  Settle(result.options);
  return result;
}

}  // namespace piecewise
