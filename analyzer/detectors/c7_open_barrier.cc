// The two-shot barrier of FlashInfer before 0.7.2, and of TensorRT-LLM: a block stores the flag
// that its peer awaits first, and those of the blocks that this grid does not have afterwards. A
// peer that is quick enough to launch a larger grid meanwhile finds the flag before last there,
// which is not the one it waits to go away.
#include "analyzer/detectors/c7_open_barrier.h"

#include "analyzer/detectors/advice.h"
#include "analyzer/detectors/history.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

bool HasTheBarrier(const Model& model, const Call& call) {
  if (call.kernel == kNone) return false;
  const Kernel& kernel = model.kernels[call.kernel];
  return kernel.own_flag_first && kernel.algorithm == trace::Algorithm::kUnicastTwoShot;
}

struct Growth {
  uint64_t count = 0;
  Operation smaller, larger;  // the first
};

Growth FindGrowth(const Model& model, Index workspace) {
  Growth growth;
  Operation last;
  ForEachOperation(model, workspace, [&](const Operation& operation) {
    if (!HasTheBarrier(model, *operation.call)) return;
    const bool grown = last.call != nullptr && last.call->grid[0] < operation.call->grid[0];
    if (grown && growth.count++ == 0) {
      growth.smaller = last;
      growth.larger = operation;
    }
    last = operation;
  });
  return growth;
}

std::string Blocks(const Model& model, const Operation& operation) {
  return CallName(model, *operation.call) + ", " + Count(operation.call->grid[0], "block");
}

Finding Describe(const Model& model, Index workspace, const Growth& growth) {
  Finding finding;
  finding.hazard = "C7";
  finding.severity = Severity::kAdvisory;
  finding.confidence = Confidence::kPossible;
  finding.ranks = {model.workspaces[workspace].rank};
  PlaceAtReplay(model, workspace, growth.larger.replay, &finding);
  finding.place.nodes = {NodeOf(model, growth.larger)};
  finding.title = "The barrier of " + Whose(finding) + " two-shot can be passed early";
  finding.occurrences = growth.count;
  finding.summary =
      "A two-shot launch of " + RankName(model, workspace) +
      " has more blocks than the one before it. Flags of the additional blocks are stored after "
      "the one that lets a peer go on: for about a microsecond the peer can take an old flag for "
      "a new one and sum what has not come.";
  finding.evidence = {"first " + Blocks(model, growth.smaller),
                      "then " + Blocks(model, growth.larger)};
  finding.missing = {"whether it ever happened: it leaves nothing behind but wrong sums"};
  finding.actions = AdviceOnOpenBarrier(finding);
  return finding;
}

}  // namespace

Detection DetectC7(const Model& model) {
  Detection detection;
  for (Index i = 0; i < model.workspaces.size(); ++i) {
    if (model.workspaces[i].flag_layout != trace::FlagLayout::kUnicast) continue;
    const Growth growth = FindGrowth(model, i);
    if (growth.count != 0) detection.findings.push_back(Describe(model, i, growth));
  }
  return detection;
}

}  // namespace lamplight
