// Folder, environment, child, and the next command. One call per process.
#include "analyzer/commands/run.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <map>
#include <system_error>

#include "analyzer/commands/child.h"
#include "analyzer/commands/exit_codes.h"
#include "analyzer/commands/trace_paths.h"

extern char** environ;

namespace lamplight {
namespace {

namespace fs = std::filesystem;
using Environment = std::map<std::string, std::string>;

constexpr char kShimName[] = "liblamplight.so";

int Refuse(const std::string& why) {
  std::fprintf(stderr, "lamplight: %s\n", why.c_str());
  return kExitUnreadable;
}

Environment CurrentEnvironment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) environment[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return environment;
}

std::string Variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

// Where an installed or built tree has the shim, seen from the executable.
fs::path FindShim(const std::string& given) {
  std::error_code error;
  if (!given.empty()) return fs::canonical(given, error);
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* folder : {"../lib", ".", "../shim", "../lib64"}) {
    const fs::path candidate = here / folder / kShimName;
    if (fs::is_regular_file(candidate, error)) return fs::canonical(candidate, error);
  }
  return {};
}

std::string DefaultFolder() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  localtime_r(&now, &local);
  char date[32];
  std::strftime(date, sizeof(date), "%Y%m%d-%H%M%S", &local);
  return std::string("lamplight-") + date + "-" + std::to_string(getpid());
}

std::string RandomId() {
  uint64_t id = 0;
  if (getrandom(&id, sizeof(id), 0) != sizeof(id)) id = static_cast<uint64_t>(std::time(nullptr));
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(id));
  return text;
}

// Empty: the folder is there and its absolute path in *folder.
std::string MakeFolder(std::string* folder) {
  std::error_code error;
  fs::create_directories(*folder, error);
  if (!error && !fs::is_directory(*folder))
    error = std::make_error_code(std::errc::not_a_directory);
  if (!error && access(folder->c_str(), W_OK) != 0) error.assign(errno, std::generic_category());
  if (error) {
    return *folder + ": " + error.message() + "; choose a trace folder you may write to with --out";
  }
  *folder = fs::canonical(*folder, error);
  return {};
}

// Seconds as the shim reads them, without needless zeros.
std::string SecondsText(double seconds) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", seconds);
  return text;
}

void SetUp(const RunOptions& options, const fs::path& shim, const std::string& folder,
           Environment* environment) {
  const std::string preloaded = Variable(*environment, "LD_PRELOAD");
  (*environment)["LD_PRELOAD"] = shim.string() + (preloaded.empty() ? "" : ":" + preloaded);
  (*environment)["LAMPLIGHT_DIR"] = folder;
  // A launcher of several hosts gives all of them one id of its own.
  if (Variable(*environment, "LAMPLIGHT_JOB").empty()) (*environment)["LAMPLIGHT_JOB"] = RandomId();
  if (options.timeout_s) (*environment)["LAMPLIGHT_TIMEOUT"] = SecondsText(*options.timeout_s);
  if (!options.mode.empty()) (*environment)["LAMPLIGHT_MODE"] = options.mode;
  if (options.swap) (*environment)["LAMPLIGHT_SWAP"] = "1";
  if (options.cupti) (*environment)["LAMPLIGHT_CUPTI"] = "1";
}

std::vector<std::string> Entries(const Environment& environment) {
  std::vector<std::string> entries;
  for (const auto& [name, value] : environment) {
    entries.push_back(name);
    entries.back().append("=").append(value);
  }
  return entries;
}

int NotStarted(const std::string& program, int error) {
  std::fprintf(stderr, "lamplight: %s: %s; check the command after `--`\n", program.c_str(),
               std::strerror(error));
  return error == ENOENT ? kExitNotFound : kExitNotExecutable;
}

// The reader may paste it: quoted where a shell would take it apart.
std::string Quoted(const std::string& path) {
  constexpr char kPlain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+=:,@%";
  if (path.find_first_not_of(kPlain) == std::string::npos) return path;
  std::string quoted = "'";
  for (const char c : path) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

bool Set(const Environment& environment, const std::string& name) {
  const std::string value = Variable(environment, name);
  return !value.empty() && value != "0";
}

// Where the shim was told not to look, that has been said already.
void PrintNoTrace(const std::string& folder, const Environment& environment) {
  if (Set(environment, "LAMPLIGHT_DISABLE")) return;
  const bool cupti = Set(environment, "LAMPLIGHT_CUPTI");
  std::fprintf(stderr,
               "lamplight: no trace was written to %s: no process used CUDA in a way that the shim "
               "sees%s\n",
               folder.c_str(), cupti ? "" : "; for programs that link libcuda itself try --cupti");
}

// `reported`: a report of the folder is asked for.
void PrintOlder(size_t older, bool reported) {
  if (older == 0) return;
  const bool one = older == 1;
  std::fprintf(stderr, "lamplight: %zu older %s in this folder", older,
               one ? "trace is" : "traces are");
  if (reported) std::fprintf(stderr, "; the report includes %s", one ? "it" : "them");
  std::fprintf(stderr, "\n");
}

void PrintNext(const std::string& folder, const std::vector<std::string>& before,
               const Environment& environment, const ChildEnd& end) {
  if (end.signal != 0) {
    std::fprintf(stderr, "lamplight: the program was ended by signal %d (%s)\n", end.signal,
                 strsignal(end.signal));
  }
  const std::vector<std::string> now = ExpandTracePaths({folder}).files;
  std::vector<std::string> fresh;
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(),
                      std::back_inserter(fresh));
  if (fresh.empty()) PrintNoTrace(folder, environment);
  PrintOlder(now.size() - fresh.size(), !fresh.empty());
  if (fresh.empty()) return;
  std::fprintf(stderr, "lamplight: %zu trace%s. Next: lamplight report %s\n", fresh.size(),
               fresh.size() == 1 ? "" : "s", Quoted(folder).c_str());
}

// Empty: `shim` can be preloaded.
std::string ShimDefect(const fs::path& shim, const std::string& given) {
  if (shim.empty() && given.empty()) {
    return std::string(kShimName) + " is not beside this executable; name it by --shim";
  }
  if (shim.empty()) return given + ": No such file; --shim takes the path of " + kShimName;
  if (shim.string().find_first_of(" :") == std::string::npos) return {};
  return shim.string() +
         ": LD_PRELOAD cannot name a path with spaces or colons; copy the library to one without "
         "and use --shim";
}

std::string FolderOf(const RunOptions& options, const Environment& environment) {
  if (!options.out.empty()) return options.out;
  const std::string inherited = Variable(environment, "LAMPLIGHT_DIR");
  return inherited.empty() ? DefaultFolder() : inherited;
}

void WarnIfDisabled(const Environment& environment) {
  if (!Set(environment, "LAMPLIGHT_DISABLE")) return;
  std::fprintf(stderr, "lamplight: LAMPLIGHT_DISABLE is set: nothing will be recorded\n");
}

}  // namespace

int Run(const RunOptions& options) {
  if (options.command.empty()) {
    return Refuse("run: no command; write `lamplight run [options] -- CMD…`");
  }
  const fs::path shim = FindShim(options.shim);
  if (std::string defect = ShimDefect(shim, options.shim); !defect.empty()) return Refuse(defect);
  Environment environment = CurrentEnvironment();
  // Nobody asked for the folder by name.
  const bool ours = options.out.empty() && Variable(environment, "LAMPLIGHT_DIR").empty();
  std::string folder = FolderOf(options, environment);
  if (std::string failure = MakeFolder(&folder); !failure.empty()) return Refuse(failure);
  SetUp(options, shim, folder, &environment);
  WarnIfDisabled(environment);
  const std::vector<std::string> before = ExpandTracePaths({folder}).files;
  const ChildEnd end = RunChild(options.command, Entries(environment));
  if (end.start_error != 0) {
    std::error_code ignored;
    fs::remove(folder, ignored);  // only if it is empty
    return NotStarted(options.command.front(), end.start_error);
  }
  PrintNext(folder, before, environment, end);
  std::error_code ignored;
  if (ours) fs::remove(folder, ignored);  // only if it is empty
  return end.exit_status;
}

}  // namespace lamplight
