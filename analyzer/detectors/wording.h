// Names of ranks, calls and places in the words of a report, and the parts that all findings share.
//
// Pure functions over a finished model; safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analyzer/detectors/hang_state.h"
#include "analyzer/finding.h"

namespace lamplight {

std::string RankName(const Model& model, Index workspace);   // "rank 1 (pid 4242)"
std::string ProcessName(const Model& model, Index process);  // "rank 1 (pid 4242)" or "pid 4242"
std::string RankList(const std::vector<uint32_t>& ranks);    // "ranks 0, 2 and 3"
std::string CallName(const Model& model, const Call& call);  // "one-shot, 8 tokens x 2880 bf16"
std::string AlgorithmName(trace::Algorithm algorithm);
std::string DataTypeName(trace::DataType type);
std::string Count(uint64_t count, std::string_view singular);  // "1 word", "3 words"
std::string SecondsBetween(uint64_t from_ns, uint64_t to_ns);
std::string Seconds(uint64_t ns);  // "12.3 s"
std::string Joined(const std::vector<std::string>& parts, std::string_view separator);

NodeRef NodeOf(const Model& model, const Operation& operation);
// Fills everything that a hang tells about where it is, node candidates included.
void PlaceAtHang(const Model& model, const RankState& state, const StuckCalls& stuck,
                 Finding* finding);
// Same for a place named by a replay of an exec.
void PlaceAtReplay(const Model& model, Index workspace, Index replay, Finding* finding);
// Of a rank whose awaited words are in the dirty generation.
inline constexpr char kBehindTheFlags[] =
    ": the first block is through and has moved the flags on; these words are in the generation "
    "that others still poll";
// Evidence lines that show the flag words of a state, and what awaited peers have announced.
void AddFlagEvidence(const Model& model, const RankState& state, Finding* finding);
void AddAnnouncements(const Model& model, const RankState& state, Finding* finding);
std::string AnnouncedName(uint32_t tokens, uint32_t hidden, uint32_t kind);
// Slots of the hang with words of the wanted kind: single ones where recorded, sums otherwise.
enum class WordKind : uint8_t { kSentinel, kAlias, kStored };
void AddSlots(const Model& model, const RankState& state, WordKind kind, Finding* finding);

}  // namespace lamplight
