#include "analyzer/detectors/announced_calls.h"

#include <algorithm>

namespace lamplight {

bool AllAlike(const std::vector<AnnouncedCall>& calls) {
  return std::ranges::all_of(calls,
                             [&](const AnnouncedCall& call) { return call.SameAs(calls.front()); });
}

std::vector<uint32_t> Minority(const std::vector<AnnouncedCall>& calls) {
  std::vector<uint32_t> ranks;
  for (const AnnouncedCall& call : calls) {
    const auto same = std::ranges::count_if(
        calls, [&](const AnnouncedCall& other) { return call.SameAs(other); });
    if (static_cast<size_t>(same) * 2 <= calls.size()) ranks.push_back(call.rank);
  }
  std::ranges::sort(ranks);
  return ranks;
}

}  // namespace lamplight
