// Traces → model → diagnosis → text or JSON. One call per process.
#include "analyzer/commands/report.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <utility>

#include "analyzer/commands/exit_codes.h"
#include "analyzer/commands/output.h"
#include "analyzer/commands/trace_paths.h"
#include "analyzer/detectors/registry.h"
#include "analyzer/model_builder.h"
#include "analyzer/report/json_report.h"
#include "analyzer/report/text_report.h"
#include "analyzer/trace_reader.h"

namespace lamplight {
namespace {

using Clock = std::chrono::steady_clock;

// One line on a terminal, once the work has taken more than a second.
class Progress {
 public:
  void Show(const char* what, size_t done, size_t all) {
    if (!terminal_ || Clock::now() - begin_ < std::chrono::seconds(1)) return;
    std::fprintf(stderr, "\r\x1b[K%s %zu/%zu", what, done, all);
    shown_ = true;
  }
  ~Progress() {
    if (shown_) std::fprintf(stderr, "\r\x1b[K");
  }

 private:
  bool terminal_ = isatty(STDERR_FILENO) != 0;
  bool shown_ = false;
  Clock::time_point begin_ = Clock::now();
};

std::vector<TraceFile> ReadAll(const std::vector<std::string>& files,
                               std::vector<std::string>* errors) {
  Progress progress;
  std::vector<TraceFile> traces;
  for (size_t i = 0; i < files.size(); ++i) {
    progress.Show("reading trace", i + 1, files.size());
    std::string error;
    if (auto trace = ReadTrace(files[i], &error)) {
      traces.push_back(*std::move(trace));
    } else {
      errors->push_back(std::move(error));
    }
  }
  return traces;
}

}  // namespace

int Report(const ReportOptions& options) {
  if (options.paths.empty()) {
    std::fputs("lamplight report: name the trace folders or files, as in `lamplight report DIR`\n",
               stderr);
    return kExitUnreadable;
  }
  TracePaths paths = ExpandTracePaths(options.paths);
  std::vector<std::string> errors = std::move(paths.errors);
  std::vector<TraceFile> traces = ReadAll(paths.files, &errors);
  for (const std::string& error : errors) {
    std::fprintf(stderr, "lamplight: %s\n", Sanitized(error).c_str());
  }
  if (traces.empty()) return kExitUnreadable;
  Model model = BuildModel(std::move(traces), errors);
  for (const std::string& note : paths.notes) model.notes.push_back({kNone, Sanitized(note)});
  const Detection diagnosis = Diagnose(model);
  std::optional<Output> output = Output::Open(options.output);
  if (!output) return kExitUnreadable;
  output->Write(options.format == "json" ? JsonReport(model, diagnosis)
                                         : TextReport(model, diagnosis));
  if (!output->Finish()) return kExitUnreadable;
  return HasFindings(diagnosis) ? kExitFindings : kExitClean;
}

}  // namespace lamplight
