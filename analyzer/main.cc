// `lamplight`: parses the command line and calls one command.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>

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

void AddRun(CLI::App* app, RunOptions* options) {
  CLI::App* run = app->add_subcommand(
      "run", "Run CMD with the shim preloaded: lamplight run [OPTIONS] -- CMD…");
  run->add_option("--out", options->out, "Trace folder (default: ./lamplight-<date>-<pid>)")
      ->type_name("DIR");
  run->add_option("--timeout", options->timeout_s,
                  "Seconds after which a replay that does not complete is a hang (default: 10)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 86400.0));
  run->add_option("--mode", options->mode, "Snapshots: default, strict or journal")
      ->check(CLI::IsMember({"default", "strict", "journal"}));
  run->add_option("--shim", options->shim, "Path of liblamplight.so")->type_name("FILE");
  run->prefix_command();
}

void AddReport(CLI::App* app, ReportOptions* options) {
  CLI::App* report = app->add_subcommand("report", "Merge the ranks' traces and say what is wrong");
  report->add_option("paths", options->paths, "Trace folders or files")
      ->required()
      ->type_name("DIR|FILE");
  report->add_option("--format", options->format, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  report->add_option("-o,--output", options->output, "Write to FILE")->type_name("FILE");
}

void AddDump(CLI::App* app, DumpOptions* options) {
  CLI::App* dump = app->add_subcommand("dump", "Print the records of one trace, one a line");
  dump->add_option("file", options->path, "Trace file")->required()->type_name("FILE");
  dump->add_option("--format", options->format, "text, or json: one object a line")
      ->check(CLI::IsMember({"text", "json"}));
  dump->add_option("--type", options->types, "Print only records of this type; may be repeated")
      ->type_name("TYPE")
      ->check(CLI::IsMember(DumpTypes()))
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

int Main(int argc, char** argv) {
  CLI::App app("Diagnoses hung and stale Lamport all-reduce kernels in CUDA graphs.", "lamplight");
  app.require_subcommand(1);
  app.set_version_flag("--version", VersionText());
  app.footer(kExitCodesText);
  RunOptions run;
  ReportOptions report;
  DumpOptions dump;
  AddRun(&app, &run);
  AddReport(&app, &report);
  AddDump(&app, &dump);
  app.add_subcommand("version", "Print versions");
  const int command = CommandBegin(argc, argv);
  try {
    app.parse(command < argc ? command - 1 : argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitClean : kExitUnreadable;
  }
  if (app.got_subcommand("run")) {
    run.command = app.get_subcommand("run")->remaining();
    run.command.insert(run.command.end(), argv + command, argv + argc);
    return Run(run);
  }
  if (app.got_subcommand("report")) return Report(report);
  if (app.got_subcommand("dump")) return Dump(dump);
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
