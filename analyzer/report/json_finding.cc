// Findings and hangs as JSON.
#include "analyzer/detectors/troubles.h"
#include "analyzer/detectors/wording.h"
#include "analyzer/report/json_parts.h"
#include "analyzer/report/names.h"

namespace lamplight {
namespace {

Json PidOrNull(const Model& model, Index process) {
  return process < model.processes.size() ? Json(model.processes[process].pid) : Json(nullptr);
}

Json PositiveOrNull(uint64_t value) { return value == 0 ? Json(nullptr) : Json(value); }

Json SlotJson(const SlotWords& slot) {
  return {{"rank", NumberOrNull(slot.rank)},
          {"peer", NumberOrNull(slot.peer)},
          {"generation", NumberOrNull(slot.generation)},
          {"stage", slot.stage},
          {"token", NumberOrNull(slot.token)},
          {"words", slot.words},
          {"sentinel", slot.sentinel},
          {"alias", slot.alias},
          {"stored", NumberOrNull(slot.stored)},
          {"positions", slot.positions}};
}

Json NodeJson(const NodeRef& node) {
  return {{"position", node.eager ? Json(nullptr) : Json(node.position)},
          {"eager", node.eager},
          {"kernel", node.kernel},
          {"descriptor", node.descriptor},
          {"tokens", NumberOrNull(node.tokens)},
          {"dim", NumberOrNull(node.dim)}};
}

Json PythonJson(const Model& model, Index site) {
  Json frames = Json::array();
  if (site >= model.sites.size()) return frames;
  for (const PythonFrame& frame : model.sites[site].python) {
    frames.push_back({{"file", frame.file},
                      {"line", frame.line == 0 ? Json(nullptr) : Json(frame.line)},
                      {"function", frame.function}});
  }
  return frames;
}

Json PlaceJson(const Model& model, const Place& place) {
  Json json;
  json["pid"] = PidOrNull(model, place.process);
  json["communicator"] = place.communicator == kNone ? Json(nullptr) : Json(place.communicator + 1);
  json["graph"] = place.graph == kNone ? Json(nullptr) : Json(model.graphs[place.graph].id);
  json["graph_assumed"] = place.graph != kNone && place.assumed;
  json["capture_site"] =
      place.graph == kNone ? Json::array() : SiteJson(model, model.graphs[place.graph].site);
  json["capture_python"] =
      place.graph == kNone ? Json::array() : PythonJson(model, model.graphs[place.graph].site);
  json["exec"] = place.exec == kNone ? Json(nullptr) : Json(model.execs[place.exec].id);
  json["instantiate_site"] =
      place.exec == kNone ? Json::array() : SiteJson(model, model.execs[place.exec].site);
  json["instantiate_python"] =
      place.exec == kNone ? Json::array() : PythonJson(model, model.execs[place.exec].site);
  json["replay"] = PositiveOrNull(place.replay);
  json["operation"] =
      place.operation == Place::kNoOperation ? Json(nullptr) : Json(place.operation);
  json["nodes"] = Json::array();
  for (const NodeRef& node : place.nodes) json["nodes"].push_back(NodeJson(node));
  return json;
}

Json HangsJson(const std::vector<Index>& hangs) {
  Json json = Json::array();
  for (const Index hang : hangs) json.push_back(hang + 1);
  return json;
}

Json ConsequenceJson(const Model& model, const Consequence& consequence) {
  return {{"rank", NumberOrNull(consequence.rank)},
          {"pid", PidOrNull(model, consequence.process)},
          {"hang", consequence.hang == kNone ? Json(nullptr) : Json(consequence.hang + 1)},
          {"text", consequence.text}};
}

Json LastFinishedJson(const Model& model, const LastFinishedCall& call) {
  return {{"rank", NumberOrNull(call.rank)},
          {"pid", PidOrNull(model, call.process)},
          {"exec", call.exec == kNone ? Json(nullptr) : Json(model.execs[call.exec].id)},
          {"replay", PositiveOrNull(call.replay)},
          {"operation", call.operation},
          {"node", NodeJson(call.node)},
          {"gpu_ns", PositiveOrNull(call.gpu_ns)}};
}

Json TroubleJson(const Model& model, const Trouble& trouble) {
  const kernels::Diagnostic& report = trouble.report;
  Json json;
  json["kind"] = TroubleName(trouble.kind());
  json["pid"] = PidOrNull(model, trouble.process);
  json["rank"] = report.rank;
  json["swapped"] = trouble.swapped;
  json["repeated"] = trouble.repeated;
  json["time_ns"] = trouble.time_ns;
  json["buffer"] = report.workspace;
  json["call_number"] = PositiveOrNull(report.epoch);
  json["call"] = AnnouncedName(report.tokens, report.hidden, report.kind);
  json["generation"] = report.index;
  json["waited_ns"] = report.waited_ns;
  json["arrivals"] = report.arrivals;
  const bool names_packet = trouble.kind() == kernels::Trouble::kTimeout ||
                            trouble.kind() == kernels::Trouble::kDivergence;
  json["peer"] = names_packet ? Json(report.peer) : Json(nullptr);
  json["token"] = names_packet ? Json(report.token) : Json(nullptr);
  json["word"] = names_packet ? Json(report.word) : Json(nullptr);
  json["stage"] = names_packet ? Json(report.stage) : Json(nullptr);
  json["bits"] = names_packet ? Json(report.bits) : Json::array();
  json["peer_call"] =
      trouble.kind() == kernels::Trouble::kDivergence
          ? Json(AnnouncedName(report.peer_tokens, report.peer_hidden, report.peer_kind))
          : Json(nullptr);
  json["text"] = TroubleLine(model, trouble);
  return json;
}

std::string_view TextName(trace::TextKind kind) {
  switch (kind) {
    case trace::TextKind::kVerdict:
      return "verdict";
    case trace::TextKind::kPythonStacks:
      return "python_stacks";
    case trace::TextKind::kNote:
      break;
  }
  return "note";
}

Json ThreadJson(const Model& model, const HostThread& thread) {
  return {{"tid", thread.tid},
          {"name", thread.name},
          {"answered", thread.site != kNone},
          {"stack", SiteJson(model, thread.site)}};
}

}  // namespace

Json NumberOrNull(uint32_t value) { return value == kUnknown ? Json(nullptr) : Json(value); }

Json SiteJson(const Model& model, Index site) {
  Json frames = Json::array();
  for (const Frame& frame : HostFrames(model, site, ~size_t{0})) {
    frames.push_back({{"symbol", frame.symbol},
                      {"module", frame.module},
                      {"module_offset", frame.module_offset}});
  }
  return frames;
}

Json FindingJson(const Model& model, const Finding& finding) {
  Json json;
  json["hazard"] = finding.hazard;
  json["title"] = finding.title;
  json["severity"] = ToString(finding.severity);
  json["confidence"] = ToString(finding.confidence);
  json["ranks"] = Json::array();
  for (const uint32_t rank : finding.ranks) json["ranks"].push_back(NumberOrNull(rank));
  json["summary"] = finding.summary;
  json["occurrences"] = finding.occurrences;
  json["place"] = PlaceJson(model, finding.place);
  json["slots"] = Json::array();
  for (const SlotWords& slot : finding.slots) json["slots"].push_back(SlotJson(slot));
  json["evidence"] = finding.evidence;
  json["missing"] = finding.missing;
  json["actions"] = finding.actions;
  json["hangs"] = HangsJson(finding.hangs);
  json["consequences"] = Json::array();
  for (const Consequence& consequence : finding.consequences) {
    json["consequences"].push_back(ConsequenceJson(model, consequence));
  }
  json["last_finished"] = Json::array();
  for (const LastFinishedCall& call : finding.last_finished) {
    json["last_finished"].push_back(LastFinishedJson(model, call));
  }
  json["troubles"] = Json::array();
  for (const Index index : finding.troubles) {
    json["troubles"].push_back(TroubleJson(model, model.troubles[index]));
  }
  return json;
}

Json HangJson(const Model& model, Index index) {
  const Hang& hang = model.hangs[index];
  Json json;
  json["hang"] = index + 1;
  json["pid"] = PidOrNull(model, hang.process);
  json["exec"] = hang.exec == kNone ? Json(nullptr) : Json(model.execs[hang.exec].id);
  json["replay"] = PositiveOrNull(hang.replay);
  json["launched_ns"] = hang.launched_ns;
  json["detected_ns"] = hang.detected_ns;
  json["launch_returned"] = hang.launch_returned;
  json["completed_after_all"] = hang.ended;
  json["threads"] = Json::array();
  for (const HostThread& thread : hang.threads)
    json["threads"].push_back(ThreadJson(model, thread));
  json["texts"] = Json::array();
  for (const HangText& text : hang.texts) {
    json["texts"].push_back({{"kind", TextName(text.kind)}, {"text", text.text}});
  }
  return json;
}

}  // namespace lamplight
