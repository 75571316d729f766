// One line a record, through the same field lists that the reader checks. One call per process.
#include "analyzer/commands/dump.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>

#include <nlohmann/json.hpp>

#include "analyzer/commands/exit_codes.h"
#include "analyzer/commands/output.h"
#include "analyzer/record_fields.h"
#include "analyzer/trace_reader.h"

namespace lamplight {
namespace {

using nlohmann::ordered_json;

constexpr uint16_t kLastType = 128;

template <class Record>
ordered_json FieldsOf(const Record& record, const RecordView& view);

ordered_json ValueOf(const trace::Str& value, const RecordView& view) {
  return view.Text(value, true);
}
ordered_json ValueOf(const trace::LamportCall& value, const RecordView& view) {
  return FieldsOf(value, view);
}

template <class T>
ordered_json ValueOf(const T& value, const RecordView& view) {
  if constexpr (std::is_array_v<T>) {
    ordered_json all = ordered_json::array();
    for (const auto& element : value) {
      if constexpr (std::is_class_v<std::remove_extent_t<T>>) {
        all.push_back(FieldsOf(element, view));
      } else {
        all.push_back(element);
      }
    }
    return all;
  } else {
    return value;
  }
}

template <class Record>
ordered_json FieldsOf(const Record& record, const RecordView& view) {
  ordered_json fields = ordered_json::object();
  Fields(record, [&](const char* name, const auto& value) { fields[name] = ValueOf(value, view); });
  return fields;
}

ordered_json ToJson(const RecordView& view) {
  ordered_json record;
  const trace::RecordHeader header = view.header();
  record["offset"] = view.file_offset();
  record["type"] = RecordTypeName(view.type());
  record["time_ns"] = header.time_ns;
  record["tid"] = header.tid;
  if ((header.flags & trace::kRecordThroughCupti) != 0) record["through"] = "CUPTI";
  if ((header.flags & trace::kRecordThroughDriver) != 0) record["through"] = "driver";
  Dispatch(view.type(), [&]<class T>(std::type_identity<T>, const char*) {
    const T typed = *view.As<T>();
    record["fields"] = FieldsOf(typed, view);
    if constexpr (requires { view.Frames(typed); }) {
      ordered_json frames = ordered_json::array();
      for (const auto& frame : view.Frames(typed)) frames.push_back(FieldsOf(frame, view));
      record["fields"]["frames"] = std::move(frames);
    }
  });
  return record;
}

// key=value, containers as compact JSON.
std::string ToText(const ordered_json& record) {
  std::string line = std::to_string(record["offset"].get<uint64_t>()) + " " +
                     std::to_string(record["time_ns"].get<uint64_t>()) + " tid " +
                     std::to_string(record["tid"].get<uint32_t>()) + " " +
                     record["type"].get<std::string>();
  for (const auto& [name, value] : record["fields"].items()) {
    line += " " + name + "=" + value.dump();
  }
  return line;
}

ordered_json HeaderJson(const TraceFile& trace) {
  const trace::FileHeader& header = trace.header;
  ordered_json fields;
  fields["format"] = std::to_string(header.major) + "." + std::to_string(header.minor);
  fields["pid"] = header.pid;
  fields["start_ns"] = header.start_ns;
  fields["ring_bytes"] = header.ring_bytes;
  fields["ring_head"] = header.ring_head;
  fields["ring_tail"] = header.ring_tail;
  fields["defs_bytes"] = header.defs_bytes;
  fields["events_overwritten"] = header.events_overwritten;
  fields["events_dropped"] = header.events_dropped;
  fields["snapshots_dropped"] = header.snapshots_dropped;
  fields["definitions_dropped"] = header.definitions_dropped;
  fields["last_drain_ns"] = header.last_drain_ns;
  fields["closed_ns"] = header.closed_ns;
  ordered_json losses = ordered_json::array();
  for (const TraceLoss& loss : trace.losses) losses.push_back(loss.text);
  ordered_json unknown = ordered_json::object();
  for (const auto& [type, count] : trace.unknown_records) unknown[std::to_string(type)] = count;
  return {{"type", "File"},
          {"path", Sanitized(trace.path)},
          {"header", std::move(fields)},
          {"losses", std::move(losses)},
          {"unknown_records", std::move(unknown)}};
}

std::string HeaderText(const ordered_json& header) {
  std::string text = "# " + header["path"].get<std::string>() + "\n#";
  for (const auto& [name, value] : header["header"].items())
    text += " " + name + "=" + value.dump();
  for (const auto& loss : header["losses"]) text += "\n# lost: " + loss.get<std::string>();
  for (const auto& [type, count] : header["unknown_records"].items()) {
    text += "\n# skipped: " + count.dump() + " records of unknown type " + type;
  }
  return text;
}

}  // namespace

std::vector<std::string> DumpTypes() {
  std::vector<std::string> names;
  for (uint16_t type = 0; type < kLastType; ++type) {
    Dispatch(static_cast<trace::RecordType>(type),
             [&](auto, const char* name) { names.push_back(name); });
  }
  return names;
}

int Dump(const DumpOptions& options) {
  std::error_code ignored;
  if (options.path.empty() || std::filesystem::is_directory(options.path, ignored)) {
    std::fprintf(stderr, "lamplight dump: %sname one *.lamptrace file\n",
                 options.path.empty() ? "" : (Sanitized(options.path) + " is a folder; ").c_str());
    return kExitUnreadable;
  }
  std::string error;
  const std::optional<TraceFile> trace = ReadTrace(options.path, &error);
  if (!trace) {
    std::fprintf(stderr, "lamplight: %s\n", Sanitized(error).c_str());
    return kExitUnreadable;
  }
  std::optional<Output> output = Output::Open("");
  const bool json = options.format == "json";
  const ordered_json header = HeaderJson(*trace);
  output->Write((json ? header.dump() : HeaderText(header)) + "\n");
  for (const auto* records : {&trace->definitions, &trace->events}) {
    for (const RecordView& view : *records) {
      const bool wanted =
          options.types.empty() || std::find(options.types.begin(), options.types.end(),
                                             RecordTypeName(view.type())) != options.types.end();
      if (!wanted) continue;
      const ordered_json record = ToJson(view);
      output->Write((json ? record.dump() : ToText(record)) + "\n");
    }
  }
  return output->Finish() ? kExitClean : kExitUnreadable;
}

}  // namespace lamplight
