// Every call of one graph on one workspace usually has the same tokens and dim. Where they differ,
// what the rank has sent tells which of them it is (workspace_read.cc).
#include "shim/suspects.h"

#include <algorithm>

namespace lamplight::shim {
namespace {

uint64_t Extent(const trace::LamportCall& call) {
  return call.tokens == trace::kNoId ? 0 : static_cast<uint64_t>(call.tokens) * call.dim;
}

void Add(const GraphShape::Call& call, Workspace* workspace, std::vector<Suspect>* suspects) {
  auto same = std::find_if(suspects->begin(), suspects->end(),
                           [&](const Suspect& suspect) { return suspect.workspace == workspace; });
  if (same == suspects->end()) {
    suspects->push_back({workspace, call.function, call.decoded.call});
    same = suspects->end() - 1;
  } else if (Extent(call.decoded.call) > Extent(same->call)) {
    same->function = call.function;
    same->call = call.decoded.call;
  }
  const lamport::Recognition& kernel = call.function->recognition;
  same->candidates.push_back({call.node, call.decoded.call, kernel.algorithm, kernel.data_type,
                              call.decoded.shard_address});
}

}  // namespace

std::vector<Suspect> SuspectsOf(Exec& exec, const Workspaces& workspaces) {
  std::vector<Suspect> suspects;
  std::lock_guard lock(exec.mutex);
  for (const GraphShape::Call& call : exec.calls) {
    Workspace* workspace =
        call.decodable && call.enabled ? workspaces.ById(call.decoded.call.workspace_id) : nullptr;
    if (workspace != nullptr) Add(call, workspace, &suspects);
  }
  return suspects;
}

}  // namespace lamplight::shim
