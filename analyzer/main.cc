// `lamplight`: parses the command line and calls one command.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "analyzer/commands/dump.h"
#include "analyzer/commands/exit_codes.h"
#include "analyzer/commands/report.h"
#include "analyzer/commands/run.h"
#include "analyzer/report/json_report.h"
#include "shim/trace_format.h"

namespace lamplight {
namespace {

std::string VersionText() {
  const auto pair = [](int major, int minor) {
    return std::to_string(major) + "." + std::to_string(minor);
  };
  return "lamplight " LAMPLIGHT_VERSION " (trace format " + pair(trace::kMajor, trace::kMinor) +
         ", report schema " + pair(kReportSchemaMajor, kReportSchemaMinor) + ")";
}

// One of a list of words; the message says what was given and what would do.
CLI::Validator OneOf(const std::vector<std::string>& words) {
  return CLI::Validator(
      [words](const std::string& given) {
        if (std::find(words.begin(), words.end(), given) != words.end()) return std::string();
        std::string text = "'" + given + "' is none of";
        for (const std::string& word : words) text += " " + word;
        return text;
      },
      "");
}

CLI::Validator SecondsWithin(double low, double high) {
  return CLI::Validator(
      [low, high](const std::string& given) {
        double seconds = 0;
        const bool number = CLI::detail::lexical_cast(given, seconds);
        if (number && seconds >= low && seconds <= high) return std::string();
        char text[96];
        std::snprintf(text, sizeof(text), "' is not a number of seconds from %g to %g", low, high);
        return "'" + given + text;
      },
      "");
}

// CLI11's own usage line knows nothing of a command behind `--`.
class Usage : public CLI::Formatter {
 public:
  explicit Usage(std::string line) : line_("Usage: lamplight " + std::move(line) + "\n") {}
  std::string make_usage(const CLI::App*, std::string) const override { return line_; }

 private:
  std::string line_;
};

void AddRun(CLI::App* app, RunOptions* options) {
  CLI::App* run = app->add_subcommand("run", "Run CMD with the shim preloaded");
  run->formatter(std::make_shared<Usage>("run [OPTIONS] -- CMD [ARGUMENTS]"));
  run->footer(kRunExitCodesText);
  run->add_option("--out", options->out,
                  "Trace folder (default: LAMPLIGHT_DIR, else ./lamplight-<date>-<pid>)")
      ->type_name("DIR");
  run->add_option("--timeout", options->timeout_s,
                  "Seconds after which a replay that does not complete is a hang (default: 10)")
      ->type_name("SECONDS")
      ->check(SecondsWithin(0.1, 86400));
  run->add_option("--mode", options->mode,
                  "Where in each replay the flag words are recorded:\n"
                  "default: after the last Lamport node; strict: and before the first;\n"
                  "journal: and after each, which tells the node of a hang exactly")
      ->type_name("MODE")
      ->check(OneOf({"default", "strict", "journal"}));
  run->add_flag("--swap", options->swap,
                "Launch Lamplight's fixed kernels in the place of the Lamport all-reduce kernels\n"
                "of FlashInfer and others; what cannot be proved to be the same stays as it is");
  run->add_flag("--cupti", options->cupti,
                "See calls of the driver API too, as programs with a static CUDA runtime\n"
                "make them; profilers cannot use CUPTI in these processes then");
  run->add_option("--shim", options->shim,
                  "Path of liblamplight.so, where it is not beside this program")
      ->type_name("FILE");
  run->prefix_command();
}

// Words, some to the line, for the end of a help text.
std::string Wrapped(const std::vector<std::string>& words) {
  constexpr size_t kWidth = 90;
  std::string text;
  size_t line = 0;
  for (const std::string& word : words) {
    if (line + word.size() > kWidth) {
      text += "\n  ";
      line = 2;
    }
    text += word + " ";
    line += word.size() + 1;
  }
  return text;
}

void AddReport(CLI::App* app, ReportOptions* options) {
  CLI::App* report = app->add_subcommand("report", "Merge the ranks' traces and say what is wrong");
  report->formatter(std::make_shared<Usage>("report [OPTIONS] DIR|FILE..."));
  report
      ->add_option("paths", options->paths,
                   "Trace folders or files: those of all ranks, of all hosts.\n"
                   "A folder without traces stands for its subfolders")
      ->type_name("DIR|FILE");
  report->add_option("--format", options->format, "text (default) or json")
      ->type_name("FORMAT")
      ->check(OneOf({"text", "json"}));
  report->add_option("-o,--output", options->output, "Write to FILE instead of standard output")
      ->type_name("FILE");
}

void AddDump(CLI::App* app, DumpOptions* options) {
  CLI::App* dump = app->add_subcommand("dump", "Print the records of one trace, one a line");
  dump->formatter(std::make_shared<Usage>("dump [OPTIONS] FILE"));
  dump->footer("Types: " + Wrapped(DumpTypes()) + "\n\n" + kExitCodesText);
  dump->add_option("file", options->path, "One *.lamptrace file")->type_name("FILE");
  dump->add_option("--format", options->format, "text (default), or json: one object a line")
      ->type_name("FORMAT")
      ->check(OneOf({"text", "json"}));
  dump->add_option("--type", options->types, "Print only records of this type; may be repeated")
      ->type_name("TYPE")
      ->check(OneOf(DumpTypes()))
      ->allow_extra_args(false);
}

// Where CMD begins: behind the first `--` of `lamplight run … -- CMD…`; argc without one. CLI11
// would take CMD's own options for ours.
int CommandBegin(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "run") != 0) return argc;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--") == 0) return i + 1;
  }
  return argc;
}

// Help and version end well; anything else is one line on stderr that says what to do.
int Answer(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  if (error.get_exit_code() == 0) return app.exit(error);
  std::string sub;
  for (const CLI::App* used : app.get_subcommands()) sub = used->get_name();
  std::string text = error.what();
  if (sub.empty()) {
    text = argc > 1 ? "'" + std::string(argv[1]) + "' is not known; " : "";
    text += "give one of run, report, dump, version, help";
  }
  std::fprintf(stderr, "lamplight%s: %s. See `lamplight%s --help`\n",
               sub.empty() ? "" : (" " + sub).c_str(), text.c_str(),
               sub.empty() ? "" : (" " + sub).c_str());
  return kExitUnreadable;
}

int Main(int argc, char** argv) {
  CLI::App app("Diagnoses hung and stale Lamport all-reduce kernels in CUDA graphs.", "lamplight");
  app.require_subcommand(1);
  app.set_version_flag("--version", VersionText());
  app.footer(
      "First      lamplight run --out DIR -- CMD      or LD_PRELOAD=liblamplight.so CMD\n"
      "In a hang  lamplight report DIR                while it hangs, or after kill -9\n\n" +
      std::string(kExitCodesText));
  RunOptions run;
  ReportOptions report;
  DumpOptions dump;
  AddRun(&app, &run);
  AddReport(&app, &report);
  AddDump(&app, &dump);
  app.add_subcommand("version", "Print versions");
  app.add_subcommand("help", "Print this help; `lamplight SUBCOMMAND --help` tells more");
  const int command = CommandBegin(argc, argv);
  try {
    app.parse(command < argc ? command - 1 : argc, argv);
  } catch (const CLI::ParseError& error) {
    return Answer(app, error, argc, argv);
  }
  if (app.got_subcommand("run")) {
    run.command = app.get_subcommand("run")->remaining();
    if (!run.command.empty() && run.command.front().starts_with('-')) {
      std::fprintf(stderr, "lamplight run: no option %s. See `lamplight run --help`\n",
                   run.command.front().c_str());
      return kExitUnreadable;
    }
    run.command.insert(run.command.end(), argv + command, argv + argc);
    return Run(run);
  }
  if (app.got_subcommand("report")) return Report(report);
  if (app.got_subcommand("dump")) return Dump(dump);
  if (app.got_subcommand("help")) {
    const auto format = CLI::AppFormatMode::Normal;
    std::fputs(app.get_formatter()->make_help(&app, "lamplight", format).c_str(), stdout);
    return kExitClean;
  }
  std::puts(VersionText().c_str());
  return kExitClean;
}

}  // namespace
}  // namespace lamplight

int main(int argc, char** argv) {
  try {
    return lamplight::Main(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("lamplight: out of memory; give fewer traces at once\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lamplight: internal error: %s\n", error.what());
  }
  return lamplight::kExitUnreadable;
}
