// One finding: what happened, where, the evidence, what to do.
#include <algorithm>

#include "analyzer/detectors/wording.h"
#include "analyzer/report/names.h"
#include "analyzer/report/text_sections.h"

namespace lamplight {
namespace {

constexpr size_t kMaxSlots = 8;  // rows; the JSON report has more
constexpr size_t kMaxNodes = 8;
constexpr size_t kSiteFrames = 6;
constexpr size_t kMaxEvidence = 12;

std::string NumberOr(uint32_t value, const char* unknown) {
  return value == kUnknown ? unknown : std::to_string(value);
}

// A Python server's native frames are those of the interpreter and of PyTorch: they say less than
// its Python frames do.
std::vector<std::string> SiteLines(const Model& model, Index site) {
  std::vector<std::string> lines;
  for (const PythonFrame& frame : UserFrames(model, site, kSiteFrames)) {
    lines.push_back(FrameLine(frame) + "  (" + frame.file + ")");
  }
  if (!lines.empty()) return lines;
  for (const Frame& frame : HostFrames(model, site, kSiteFrames)) {
    lines.push_back(FrameLine(frame));
  }
  return lines;
}

void WriteSite(const Model& model, Index site, const char* heading, TextWriter* out) {
  const std::vector<std::string> lines = SiteLines(model, site);
  if (!lines.empty()) out->Line(heading);
  for (const std::string& line : lines) out->Clipped("      " + line);
}

void WriteGraph(const Model& model, const Place& place, TextWriter* out) {
  if (place.graph == kNone) return;
  const Graph& graph = model.graphs[place.graph];
  std::string line = "graph " + std::to_string(graph.id) + " (" +
                     Count(graph.declared_nodes, "node") + ", " +
                     std::to_string(graph.declared_lamport_nodes) + " Lamport)";
  if (place.exec != kNone) line += ", exec " + std::to_string(model.execs[place.exec].id);
  if (place.replay != 0) line += ", replay " + std::to_string(place.replay);
  if (place.assumed) line += "; assumed, see below";
  out->Paragraph("    ", line);
  WriteSite(model, graph.site, "    captured at", out);
  if (graph.site == kNone && place.exec != kNone) {
    WriteSite(model, model.execs[place.exec].site, "    instantiated at", out);
  }
}

std::string NodeLine(const NodeRef& node) {
  std::string line = node.eager ? "eager call: " : "node " + std::to_string(node.position) + ": ";
  line += node.kernel.empty() ? "unknown kernel" : ShortFunction(node.kernel);
  if (!node.descriptor.empty()) line += " [" + node.descriptor + "]";
  return line + ", " + NumberOr(node.tokens, "?") +
         (node.tokens == 1 ? " token x " : " tokens x ") + NumberOr(node.dim, "?");
}

void WriteNodes(const Place& place, TextWriter* out) {
  if (place.nodes.size() > 1) out->Line("    one of");
  const char* indent = place.nodes.size() > 1 ? "      " : "    ";
  for (size_t i = 0; i < std::min(place.nodes.size(), kMaxNodes); ++i) {
    out->Paragraph(indent, NodeLine(place.nodes[i]));
  }
  if (place.nodes.size() > kMaxNodes) {
    out->Line("      and " + std::to_string(place.nodes.size() - kMaxNodes) + " more");
  }
}

void WriteProcess(const Model& model, const Place& place, TextWriter* out) {
  if (place.process == kNone) return;
  std::string line = place.workspace != kNone ? RankName(model, place.workspace)
                                              : ProcessName(model, place.process);
  const std::string& host = model.processes[place.process].hostname;
  if (!host.empty()) line += " on " + host;
  if (place.workspace != kNone) {
    line += ", " + DeviceName(model, model.workspaces[place.workspace].device);
  }
  out->Paragraph("    ", line);
}

void WritePlace(const Model& model, const Finding& finding, TextWriter* out) {
  out->Line("  Where");
  WriteProcess(model, finding.place, out);
  WriteGraph(model, finding.place, out);
  WriteNodes(finding.place, out);
  if (finding.place.operation != Place::kNoOperation) {
    out->Line("    operation " + std::to_string(finding.place.operation) + " on its workspace");
  }
}

std::string Positions(const std::vector<uint32_t>& positions) {
  std::vector<std::string> parts;
  for (const uint32_t position : positions) parts.push_back(std::to_string(position));
  return parts.empty() ? "-" : Joined(parts, " ");
}

void WriteSlots(const std::vector<SlotWords>& slots, TextWriter* out) {
  if (slots.empty()) return;
  std::vector<std::vector<std::string>> rows{{"rank", "from", "generation", "stage", "token",
                                              "words", "absent", "aliased", "first words"}};
  for (size_t i = 0; i < std::min(slots.size(), kMaxSlots); ++i) {
    const SlotWords& slot = slots[i];
    rows.push_back({NumberOr(slot.rank, "?"), "rank " + NumberOr(slot.peer, "?"),
                    NumberOr(slot.generation, "?"), std::to_string(slot.stage),
                    NumberOr(slot.token, "all"), std::to_string(slot.words),
                    std::to_string(slot.sentinel), std::to_string(slot.alias),
                    Positions(slot.positions)});
  }
  out->Line("  Slots");
  out->Table(rows, "    ");
  if (slots.size() > kMaxSlots) {
    out->Line("    and " + std::to_string(slots.size() - kMaxSlots) +
              " more (--format json lists them)");
  }
}

// A rank without a line has kernels of which it cannot be told.
void WriteLastFinished(const Model& model, const std::vector<LastFinishedCall>& calls,
                       TextWriter* out) {
  if (calls.empty()) return;
  std::vector<std::vector<std::string>> rows{
      {"rank", "pid", "operation", "exec", "replay", "node", "call"}};
  for (size_t i = 0; i < std::min(calls.size(), kMaxSlots); ++i) {
    const LastFinishedCall& call = calls[i];
    const bool eager = call.node.eager;
    rows.push_back({NumberOr(call.rank, "?"), std::to_string(model.processes[call.process].pid),
                    std::to_string(call.operation),
                    eager ? "-" : std::to_string(model.execs[call.exec].id),
                    eager ? "-" : std::to_string(call.replay),
                    eager ? "eager" : std::to_string(call.node.position),
                    NumberOr(call.node.tokens, "?") + " x " + NumberOr(call.node.dim, "?")});
  }
  out->Line("  Last to finish, by the snapshots behind the calls");
  out->Table(rows, "    ");
  if (calls.size() > kMaxSlots) {
    out->Line("    and " + std::to_string(calls.size() - kMaxSlots) +
              " more (--format json lists them)");
  }
}

void WriteList(std::string_view heading, const std::vector<std::string>& items, TextWriter* out) {
  if (items.empty()) return;
  out->Line(heading);
  const size_t shown = std::min(items.size(), kMaxEvidence);
  out->List({items.begin(), items.begin() + static_cast<std::ptrdiff_t>(shown)}, "    ");
  if (shown < items.size()) {
    out->Line("    and " + std::to_string(items.size() - shown) +
              " more (--format json lists them)");
  }
}

}  // namespace

void WriteFinding(const Model& model, const Finding& finding, size_t number, TextWriter* out) {
  out->Line();
  out->Rule();
  out->Paragraph("", std::to_string(number) + ". " + finding.hazard + "  " + finding.title);
  out->Line();
  out->Line("  What happened");
  out->Paragraph("    ", finding.summary);
  if (finding.occurrences > 1) {
    out->Line("    Seen " + std::to_string(finding.occurrences) + " times; this is the first.");
  }
  WritePlace(model, finding, out);
  WriteSlots(finding.slots, out);
  WriteLastFinished(model, finding.last_finished, out);
  WriteList("  Evidence", finding.evidence, out);
  std::vector<std::string> consequences;
  for (const Consequence& consequence : finding.consequences) {
    consequences.push_back(consequence.text);
  }
  WriteList("  As a consequence", consequences, out);
  WriteList("  Not known", finding.missing, out);
  if (!finding.actions.empty()) {
    out->Line("  What to do");
    out->Numbered(finding.actions, "    ");
  }
}

}  // namespace lamplight
