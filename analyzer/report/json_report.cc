// The top level of the JSON report.
#include "analyzer/report/json_report.h"

#include "analyzer/detectors/registry.h"
#include "analyzer/report/json_parts.h"

namespace lamplight {
namespace {

std::string_view LossName(LossKind kind) {
  switch (kind) {
    case LossKind::kEventsOverwritten:
      return "events_overwritten";
    case LossKind::kEventsDropped:
      return "events_dropped";
    case LossKind::kSnapshotsDropped:
      return "snapshots_dropped";
    case LossKind::kDefinitionsDropped:
      return "definitions_dropped";
    case LossKind::kCorrupt:
      return "corrupt";
    case LossKind::kTruncated:
      return "truncated";
    case LossKind::kFile:
      return "file";
    case LossKind::kOther:
      break;
  }
  return "other";
}

Json LossJson(const Model& model, const Loss& loss) {
  Json json;
  json["kind"] = LossName(loss.kind);
  json["pid"] = loss.process < model.processes.size() ? Json(model.processes[loss.process].pid)
                                                      : Json(nullptr);
  json["count"] = loss.count;
  json["text"] = loss.text;
  return json;
}

template <class Items, class ToJson>
Json ArrayOf(const Items& items, ToJson to_json) {
  Json array = Json::array();
  for (const auto& item : items) array.push_back(to_json(item));
  return array;
}

template <class Items, class ToJson>
Json ArrayByIndex(const Items& items, ToJson to_json) {
  Json array = Json::array();
  for (Index i = 0; i < items.size(); ++i) array.push_back(to_json(i));
  return array;
}

template <class Launches>
uint64_t NotRefused(const Launches& launches) {
  uint64_t count = 0;
  for (const auto& launch : launches) count += launch.status == 0;
  return count;
}

Json CheckedJson(const Model& model) {
  return {{"processes", model.processes.size()},  {"communicators", model.communicators.size()},
          {"graphs", model.graphs.size()},        {"execs", model.execs.size()},
          {"replays", NotRefused(model.replays)}, {"eager_calls", NotRefused(model.eager)},
          {"snapshots", model.snapshots.size()},  {"hangs", model.hangs.size()}};
}

}  // namespace

std::string JsonReport(const Model& model, const Detection& diagnosis) {
  Json report;
  report["schema"] = "lamplight.report";
  report["version"] = std::to_string(kReportSchemaMajor) + "." + std::to_string(kReportSchemaMinor);
  report["verdict"] = HasFindings(diagnosis) ? "findings" : "clean";
  report["losses"] = ArrayOf(model.losses, [&](const Loss& loss) { return LossJson(model, loss); });
  report["findings"] = ArrayOf(diagnosis.findings,
                               [&](const Finding& finding) { return FindingJson(model, finding); });
  report["unchecked"] = diagnosis.unchecked;
  report["checked"] = CheckedJson(model);
  report["hangs"] = ArrayByIndex(model.hangs, [&](Index i) { return HangJson(model, i); });
  report["processes"] =
      ArrayByIndex(model.processes, [&](Index i) { return ProcessJson(model, i); });
  report["communicators"] =
      ArrayByIndex(model.communicators, [&](Index i) { return CommunicatorJson(model, i); });
  report["swaps"] =
      ArrayByIndex(model.swaps, [&](Index i) { return SwapJson(model, model.swaps[i]); });
  report["notes"] = ArrayOf(model.notes, [](const Note& note) { return Json(note.text); });
  // Names from traces may hold any bytes; what is not UTF-8 is replaced, never thrown on.
  return report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace lamplight
