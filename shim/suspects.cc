// Every call of one graph on one workspace usually has the same tokens and dim; where they differ,
// the report narrows the node down from the slots' contents.
#include "shim/suspects.h"

#include <algorithm>

namespace lamplight::shim {
namespace {

uint64_t Extent(const trace::LamportCall& call) {
  return call.tokens == trace::kNoId ? 0 : static_cast<uint64_t>(call.tokens) * call.dim;
}

}  // namespace

std::vector<Suspect> SuspectsOf(Exec& exec, const Workspaces& workspaces) {
  std::vector<Suspect> suspects;
  std::lock_guard lock(exec.mutex);
  for (const GraphShape::Call& call : exec.calls) {
    Workspace* workspace =
        call.decodable ? workspaces.ById(call.decoded.call.workspace_id) : nullptr;
    if (workspace == nullptr) continue;
    const auto same = std::find_if(suspects.begin(), suspects.end(), [&](const Suspect& suspect) {
      return suspect.workspace == workspace;
    });
    if (same == suspects.end()) {
      suspects.push_back({workspace, call.function, call.decoded.call});
    } else if (Extent(call.decoded.call) > Extent(same->call)) {
      *same = {workspace, call.function, call.decoded.call};
    }
  }
  return suspects;
}

}  // namespace lamplight::shim
