// By key where there is one; else by job, world, rank layout and the order in which workspaces came
// into use, which is the same on all ranks of an SPMD program. Thread-safe: no state.
#include "analyzer/communicators.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace lamplight {
namespace {

constexpr uint32_t kMaxWorld = 4096;      // far more GPUs than any fabric joins
constexpr size_t kMaxEndsOfARank = 1024;  // beyond it, damage speaks

constexpr size_t kMaxHalves = 256;  // groups with missing ranks that are compared
constexpr size_t kMostHalves = 8;   // pairs of jobs that a note names

using Ends = std::vector<Index>;  // workspaces
using EndsByRank = std::map<uint32_t, Ends>;

std::string Plural(size_t count, const std::string& one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

class Grouping {
 public:
  Grouping(const std::vector<std::string>& keys, Model* model) : keys_(keys), model_(*model) {}

  void Group() {
    std::map<std::pair<std::string, uint32_t>, Ends> by_key;
    std::map<std::tuple<std::string, uint32_t, trace::FlagLayout>, Ends> by_job;
    for (Index i = 0; i < model_.workspaces.size(); ++i) {
      const Workspace& end = model_.workspaces[i];
      if (!Usable(end)) continue;
      if (!keys_[i].empty()) {
        by_key[{keys_[i], end.world}].push_back(i);
      } else {
        by_job[{model_.processes[end.process].job, end.world, end.flag_layout}].push_back(i);
      }
    }
    for (const auto& [key, ends] : by_key) Match(ends, "a key that all members recorded", true);
    for (const auto& [key, ends] : by_job) SplitByLayout(ends, std::get<0>(key));
    NoteHalves();
  }

 private:
  void Note(Index process, std::string text) { model_.notes.push_back({process, std::move(text)}); }

  bool Usable(const Workspace& end) {
    if (end.world >= 1 && end.world <= kMaxWorld && end.rank < end.world) return true;
    Note(end.process, "workspace " + std::to_string(end.id) +
                          " names no valid rank and world; it belongs to no communicator");
    return false;
  }

  const Process& ProcessOf(Index end) const {
    return model_.processes[model_.workspaces[end].process];
  }

  // The group's number inside a larger world, ranks of a group side by side (0 1 | 2 3) or strided
  // (0 2 | 1 3); −1: the end does not fit the layout.
  int64_t Block(Index end, bool strided) const {
    const Workspace& workspace = model_.workspaces[end];
    const Process& process = ProcessOf(end);
    const auto world = static_cast<int64_t>(workspace.world);
    const int64_t groups = process.env_world / world;
    if (process.env_rank < 0 || process.env_rank >= process.env_world || groups < 1) return -1;
    const int64_t rank = strided ? process.env_rank / groups : process.env_rank % world;
    if (rank != workspace.rank) return -1;
    return strided ? process.env_rank % groups : process.env_rank / world;
  }

  // Several groups of one job, told apart by the launcher's rank variables.
  void SplitByLayout(const Ends& ends, const std::string& job) {
    const std::string scope = job.empty() ? "the same folder" : "job " + job;
    for (const bool strided : {false, true}) {
      std::map<int64_t, Ends> blocks;
      for (const Index end : ends) blocks[Block(end, strided)].push_back(end);
      if (blocks.contains(-1)) continue;
      for (const auto& [block, members] : blocks) {
        SplitByProcess(members, scope + (blocks.size() == 1 ? "" : " and RANK"));
      }
      return;
    }
    SplitByProcess(ends, scope);
  }

  std::set<uint32_t> RanksOf(const Ends& ends) const {
    std::set<uint32_t> ranks;
    for (const Index end : ends) ranks.insert(model_.workspaces[end].rank);
    return ranks;
  }

  // Whether each rank lives in one process only.
  bool OneProcessPerRank(const Ends& ends) const {
    std::map<uint32_t, Index> process_of;
    for (const Index end : ends) {
      const Workspace& workspace = model_.workspaces[end];
      if (process_of.try_emplace(workspace.rank, workspace.process).first->second !=
          workspace.process) {
        return false;
      }
    }
    return true;
  }

  // Replicas and restarts give several processes with one rank: by parent, else by order of start.
  void SplitByProcess(const Ends& ends, const std::string& scope) {
    if (OneProcessPerRank(ends)) return Match(ends, scope, true);
    std::map<std::tuple<std::string, std::string, uint32_t>, Ends> by_parent;
    for (const Index end : ends) {
      const Process& process = ProcessOf(end);
      by_parent[{process.boot, process.hostname, process.ppid}].push_back(end);
    }
    // A server on several hosts has several parents: then no part has all ranks. In one of several
    // servers a rank may have died or hung ahead of its first call.
    const std::set<uint32_t> ranks = RanksOf(ends);
    const auto distinct = [&](const auto& group) { return OneProcessPerRank(group.second); };
    const auto whole = [&](const auto& group) { return RanksOf(group.second) == ranks; };
    if (std::ranges::all_of(by_parent, distinct) && std::ranges::any_of(by_parent, whole)) {
      for (const auto& [parent, members] : by_parent) {
        Match(members, scope + " and parent process", false);
      }
      return;
    }
    SplitByStart(ends, scope);
  }

  void SplitByStart(const Ends& ends, const std::string& scope) {
    std::map<uint32_t, std::set<std::pair<uint64_t, Index>>> processes;  // by rank, in order
    for (const Index end : ends) {
      const Workspace& workspace = model_.workspaces[end];
      processes[workspace.rank].insert({ProcessOf(end).start_ns, workspace.process});
    }
    std::map<size_t, Ends> rounds;
    for (const Index end : ends) {
      const Workspace& workspace = model_.workspaces[end];
      const auto& order = processes[workspace.rank];
      const auto at = order.find({ProcessOf(end).start_ns, workspace.process});
      rounds[static_cast<size_t>(std::distance(order.begin(), at))].push_back(end);
    }
    Note(kNone, "several processes of " + scope +
                    " have the same rank; they are grouped by their order of start, which is a "
                    "guess. Give each server its own folder to be certain");
    for (const auto& [round, members] : rounds) {
      Match(members, scope + " and order of start", false, true);
    }
  }

  // The k-th workspaces of all ranks belong together.
  void Match(const Ends& ends, const std::string& basis, bool unique, bool guessed = false) {
    EndsByRank by_rank;
    for (const Index end : ends) by_rank[model_.workspaces[end].rank].push_back(end);
    size_t most = 0;
    bool equal = true;
    for (auto& [rank, list] : by_rank) {
      if (list.size() > kMaxEndsOfARank) {
        Note(kNone, "only the first " + std::to_string(kMaxEndsOfARank) + " of " +
                        std::to_string(list.size()) + " workspaces of rank " +
                        std::to_string(rank) + " were put into groups");
        list.resize(kMaxEndsOfARank);
      }
      most = std::max(most, list.size());
    }
    for (const auto& [rank, list] : by_rank) equal = equal && list.size() == most;
    const uint32_t world = model_.workspaces[ends.front()].world;
    if (!equal) {
      Note(kNone, "the ranks of " + basis + " (world " + std::to_string(world) +
                      ") use different numbers of workspaces (up to " + std::to_string(most) +
                      "); they are matched in order of first use, which is a guess");
    }
    guessed |= !equal;
    for (size_t k = 0; k < most; ++k) {
      Add(by_rank, k, world, basis, unique && most == 1);
      model_.communicators.back().guessed = guessed;
    }
  }

  // ---------------------------------------------------------------- one server under two names

  const std::string& JobOf(const Communicator& communicator) const {
    static const std::string none;
    for (const Index member : communicator.members) {
      if (member != kNone) return ProcessOf(member).job;
    }
    return none;
  }

  // Each has exactly the ranks that the other lacks.
  static bool Complete(const Communicator& a, const Communicator& b) {
    if (a.world != b.world) return false;
    for (size_t rank = 0; rank < a.members.size(); ++rank) {
      if ((a.members[rank] == kNone) == (b.members[rank] == kNone)) return false;
    }
    return true;
  }

  bool Lacks(const Communicator& communicator) const {
    return std::find(communicator.members.begin(), communicator.members.end(), kNone) !=
           communicator.members.end();
  }

  // "1 (job a)"
  std::string Half(size_t communicator) const {
    std::string text = std::to_string(communicator + 1);
    text += " (job " + JobOf(model_.communicators[communicator]) + ")";
    return text;
  }

  void NoteHalves() {
    std::vector<size_t> halves;
    for (size_t i = 0; i < model_.communicators.size() && halves.size() < kMaxHalves; ++i) {
      if (Lacks(model_.communicators[i])) halves.push_back(i);
    }
    std::set<std::pair<std::string, std::string>> told;
    for (const size_t a : halves) {
      for (const size_t b : halves) {
        if (b <= a || told.size() >= kMostHalves) continue;
        const Communicator& first = model_.communicators[a];
        const Communicator& second = model_.communicators[b];
        const std::string& job = JobOf(first);
        const std::string& other = JobOf(second);
        if (job == other || !Complete(first, second) || !told.insert({job, other}).second) continue;
        std::string text = "communicators " + Half(a);
        text += " and " + Half(b);
        text +=
            " have exactly the ranks that the other lacks: if they are one server, set "
            "LAMPLIGHT_JOB to the same text on all of its hosts";
        Note(kNone, std::move(text));
      }
    }
  }

  void Add(const EndsByRank& by_rank, size_t k, uint32_t world, const std::string& basis,
           bool unique) {
    Communicator communicator;
    communicator.world = world;
    communicator.members.assign(world, kNone);
    const auto index = static_cast<Index>(model_.communicators.size());
    size_t present = 0;
    for (const auto& [rank, list] : by_rank) {
      if (k >= list.size()) continue;
      communicator.members[rank] = list[k];
      model_.workspaces[list[k]].communicator = index;
      ++present;
    }
    communicator.certain = unique && present == world;
    communicator.basis = "matched by " + basis;
    if (!unique) communicator.basis += ", order of first use";
    if (present < world) {
      communicator.basis += "; " + Plural(world - present, "rank") + " left no workspace";
    }
    model_.communicators.push_back(std::move(communicator));
  }

  const std::vector<std::string>& keys_;
  Model& model_;
};

}  // namespace

void GroupCommunicators(const std::vector<std::string>& keys, Model* model) {
  Grouping(keys, model).Group();
}

}  // namespace lamplight
