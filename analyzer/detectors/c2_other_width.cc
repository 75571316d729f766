// FlashInfer's non-MNNVL Lamport buffers: call n clears the generation of call n − 1 with −0 of its
// own data type, and call n + 2 polls that generation.
#include "analyzer/detectors/c2_other_width.h"

#include <optional>
#include <utility>

#include "analyzer/detectors/history.h"
#include "analyzer/detectors/wording.h"

namespace lamplight {
namespace {

// Bytes of what has come or not as a whole, an element or a 32-bit word; 0: not such a call, or not
// known. TensorRT-LLM's arms and polls words whatever its data type.
uint32_t WidthOf(const Model& model, const Call& call) {
  if (call.kernel == kNone || !call.advances()) return 0;
  const Kernel& kernel = model.kernels[call.kernel];
  if (kernel.algorithm != trace::Algorithm::kUnicastOneShot) return 0;
  if (kernel.word_sentinel) return 4;
  if (kernel.data_type == trace::DataType::kUnknown) return 0;
  return trace::BytesOf(kernel.data_type);
}

struct Mixture {
  bool both = false;  // calls of both widths were made
  uint64_t misread = 0;
  Operation armed, polls;  // the first pair of them
  Operation first_other;   // the first call of the second width
};

Mixture FindMixture(const Model& model, Index workspace) {
  Mixture mixture;
  std::optional<Operation> before[2];  // the call before, and the one before that
  uint32_t first_width = 0;
  ForEachOperation(model, workspace, [&](const Operation& operation) {
    const uint32_t width = WidthOf(model, *operation.call);
    if (width == 0) return;
    if (first_width == 0) first_width = width;
    if (width != first_width && !mixture.both) {
      mixture.both = true;
      mixture.first_other = operation;
    }
    const std::optional<Operation>& arming = before[1];
    // The first call of all has nothing to clear.
    const bool armed = arming && arming->op + 2 == operation.op && arming->op > 0;
    if (armed && WidthOf(model, *arming->call) != width && mixture.misread++ == 0) {
      mixture.armed = *arming;
      mixture.polls = operation;
    }
    before[1] = std::exchange(before[0], operation);
  });
  return mixture;
}

std::string Reads(const Model& model, const Operation& operation) {
  return "operation " + std::to_string(operation.op) + ": " + CallName(model, *operation.call);
}

Finding NewFinding(const Model& model, Index workspace, const Operation& at) {
  Finding finding;
  finding.hazard = "C2";
  finding.title = "A workspace is armed for elements of another width";
  finding.severity = Severity::kSilent;
  finding.ranks = {model.workspaces[workspace].rank};
  PlaceAtReplay(model, workspace, at.replay, &finding);
  finding.place.operation = at.op;
  finding.place.nodes = {NodeOf(model, at)};
  finding.actions = {
      "Give fp32 all-reduces a workspace of their own, initialised for fp32 (FlashInfer: "
      "use_fp32_lamport), and 16-bit ones another; or make all of them one type. Each rank's "
      "workspace is concerned.",
      "LAMPLIGHT_SWAP does not help here: it leaves both widths as they are once they share a "
      "workspace."};
  return finding;
}

Finding DescribeMisread(const Model& model, Index workspace, const Mixture& mixture) {
  Finding finding = NewFinding(model, workspace, mixture.polls);
  const bool wide = WidthOf(model, *mixture.polls.call) == 4;
  finding.summary =
      RankName(model, workspace) + " polls " + (wide ? "fp32" : "16-bit") +
      " words that were armed by " + (wide ? "a 16-bit" : "an fp32") + " call: " +
      (wide ? "0x80008000 is not fp32's mark, so a word that has not come is taken for data."
            : "of 0x80000000 the lower half is no mark, so every other element that has not come "
              "is taken for a zero.");
  finding.occurrences = mixture.misread;
  finding.evidence = {Reads(model, mixture.armed) +
                          ", cleared the generation that is due next but "
                          "one",
                      Reads(model, mixture.polls) + ", polls it"};
  finding.missing = {
      "which results are wrong: words that came before they were polled are right, so it depends "
      "on timing"};
  return finding;
}

// Too few calls in a row: but no initial arming suits both.
Finding DescribeBoth(const Model& model, Index workspace, const Mixture& mixture) {
  Finding finding = NewFinding(model, workspace, mixture.first_other);
  finding.confidence = Confidence::kLikely;
  finding.summary = RankName(model, workspace) +
                    " makes fp32 and 16-bit calls on one workspace, whose words can be armed for "
                    "one of them only.";
  finding.evidence = {Reads(model, mixture.first_other) + ", the first of its width"};
  finding.missing = {"that nothing armed the workspace anew in between"};
  return finding;
}

}  // namespace

bool HasCallsOfBothWidths(const Model& model, Index workspace) {
  return model.workspaces[workspace].flag_layout == trace::FlagLayout::kUnicast &&
         FindMixture(model, workspace).both;
}

Detection DetectC2(const Model& model) {
  Detection detection;
  for (Index i = 0; i < model.workspaces.size(); ++i) {
    if (model.workspaces[i].flag_layout != trace::FlagLayout::kUnicast) continue;
    const Mixture mixture = FindMixture(model, i);
    if (mixture.misread != 0) {
      detection.findings.push_back(DescribeMisread(model, i, mixture));
    } else if (mixture.both) {
      detection.findings.push_back(DescribeBoth(model, i, mixture));
    }
  }
  return detection;
}

}  // namespace lamplight
