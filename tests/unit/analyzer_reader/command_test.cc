// The command itself: exit status and messages for good and bad input.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/analyzer_reader/golden.h"
#include "tests/unit/analyzer_reader/trace_builder.h"

namespace lamplight {
namespace {

using testing::BuildScenario;
using testing::Scenario;
using testing::TemporaryFolder;

struct Ended {
  int status;
  std::string output;  // both streams
};

Ended Shell(const std::string& command) {
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  Ended ended{-1, ""};
  std::array<char, 4096> buffer;
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    ended.output.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  return ended;
}

Ended Lamplight(const std::string& arguments) {
  return Shell("timeout -s KILL 60 " LAMPLIGHT_COMMAND " " + arguments);
}

bool Has(const Ended& ended, const std::string& text) {
  return ended.output.find(text) != std::string::npos;
}

class Command : public ::testing::Test {
 protected:
  void AddRank(uint32_t rank, bool hang) {
    Scenario scenario = testing::GoldenScenario(rank);
    scenario.hang = hang;
    testing::WriteFile(folder_.File(std::to_string(rank) + ".lamptrace"),
                       BuildScenario(scenario).File());
  }
  // A shim that is only looked for, never needed: any shared library can be preloaded.
  std::string WithShim(const std::string& command) {
    std::filesystem::create_directories(folder_.File("out"));
    const std::string shim = folder_.File("liblamplight.so");
    const Ended made = Shell("echo | c++ -shared -x c++ - -o " + shim);
    EXPECT_EQ(made.status, 0) << made.output;
    return "run --shim " + shim + " --out " + folder_.File("out") + " " + command;
  }

  TemporaryFolder folder_;
};

TEST_F(Command, ReportOfCleanRanksIsZero) {
  AddRank(0, false);
  AddRank(1, false);
  const Ended ended = Lamplight("report " + folder_.path());
  EXPECT_EQ(ended.status, 0) << ended.output;
}

TEST_F(Command, ReportOfAHangIsOneAndNamesIt) {
  AddRank(0, true);
  AddRank(1, true);
  const Ended ended = Lamplight("report " + folder_.path());
  EXPECT_EQ(ended.status, 1);
  EXPECT_TRUE(Has(ended, "C1")) << ended.output;
}

TEST_F(Command, JsonReportGoesToTheNamedFile) {
  AddRank(0, true);
  AddRank(1, true);
  const std::string file = folder_.File("report.json");
  const Ended ended = Lamplight("report --format json -o " + file + " " + folder_.path());
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.output, "");
  const auto report = nlohmann::json::parse(Shell("cat " + file).output);
  EXPECT_EQ(report["findings"][0]["hazard"], "C1");
}

TEST_F(Command, ReadableRankIsReportedBesideAnUnreadableOne) {
  AddRank(0, true);
  testing::WriteFile(folder_.File("1.lamptrace"), testing::Bytes(100));
  const Ended ended = Lamplight("report " + folder_.path());
  EXPECT_EQ(ended.status, 1);
  EXPECT_TRUE(Has(ended, "lamplight: " + folder_.File("1.lamptrace") + ": not a Lamplight trace"));
  EXPECT_TRUE(Has(ended, "captured in model_runner.py:812 in capture_model")) << ended.output;
}

TEST_F(Command, EmptyMissingAndForeignInputIsTwoAndNamed) {
  const Ended empty = Lamplight("report " + folder_.path());
  EXPECT_EQ(empty.status, 2);
  EXPECT_TRUE(Has(empty, folder_.path() + ": no *.lamptrace files in it"));
  const Ended missing = Lamplight("report " + folder_.File("none"));
  EXPECT_EQ(missing.status, 2);
  EXPECT_TRUE(Has(missing, folder_.File("none") + ": No such file or directory"));
  testing::WriteFile(folder_.File("notes.txt"), testing::Bytes(5000, std::byte{'n'}));
  for (const char* command : {"report ", "dump "}) {
    const Ended foreign = Lamplight(command + folder_.File("notes.txt"));
    EXPECT_EQ(foreign.status, 2);
    EXPECT_TRUE(Has(foreign, "notes.txt: not a Lamplight trace")) << foreign.output;
  }
}

TEST_F(Command, ReportReadsTheSubfoldersOfAFolderWithoutTraces) {
  AddRank(0, true);
  AddRank(1, true);
  Shell("cd " + folder_.path() + " && mkdir -p job/a/rank0 job/rank1 job/empty && " +
        "mv 0.lamptrace job/a/rank0 && mv 1.lamptrace job/rank1");
  const Ended ended = Lamplight("report " + folder_.path());
  EXPECT_EQ(ended.status, 1);
  EXPECT_TRUE(Has(ended, "has no traces itself; read 2 traces")) << ended.output;
  const auto report =
      nlohmann::json::parse(Lamplight("report --format json " + folder_.File("job")).output);
  EXPECT_EQ(report["processes"].size(), 2u);
  EXPECT_EQ(report["notes"].size(), 1u);
}

TEST_F(Command, SubfoldersDoNotCountBesideTracesNorBelowThree) {
  AddRank(0, false);
  AddRank(1, false);
  Shell("cd " + folder_.path() + " && mkdir -p below a/b/c/d && mv 1.lamptrace below");
  const auto report =
      nlohmann::json::parse(Lamplight("report --format json " + folder_.path()).output);
  EXPECT_EQ(report["processes"].size(), 1u);
  ASSERT_EQ(report["notes"].size(), 1u);
  EXPECT_NE(report["notes"][0].get<std::string>().find("were not read: below;"), std::string::npos);
  Shell("cd " + folder_.path() + " && mv below/1.lamptrace a/b/c/d");
  const Ended deep = Lamplight("report " + folder_.File("a"));
  EXPECT_EQ(deep.status, 0) << deep.output;
  Shell("cd " + folder_.path() + " && mkdir -p x && mv a x/a");
  const Ended deeper = Lamplight("report " + folder_.File("x"));
  EXPECT_EQ(deeper.status, 2) << deeper.output;
  EXPECT_TRUE(Has(deeper, "files in it or its subfolders")) << deeper.output;
}

TEST_F(Command, FolderWithoutPermissionIsTwoAndNamed) {
  AddRank(0, false);
  // As root, nothing is forbidden: another user looks.
  const bool root = geteuid() == 0;
  const std::string as_other = root ? "setpriv --reuid 65534 --clear-groups " : "";
  if (root && Shell("setpriv --reuid 65534 --clear-groups true").status != 0) {
    GTEST_SKIP() << "setpriv cannot change the user here";
  }
  if (Shell(as_other + LAMPLIGHT_COMMAND + " version").status != 0) {
    GTEST_SKIP() << "the build folder is closed to other users";
  }
  ASSERT_EQ(chmod(folder_.path().c_str(), 0), 0);
  const Ended ended = Shell(as_other + LAMPLIGHT_COMMAND + " report " + folder_.path());
  chmod(folder_.path().c_str(), 0700);
  EXPECT_EQ(ended.status, 2);
  EXPECT_TRUE(Has(ended, folder_.path() + ": Permission denied")) << ended.output;
}

TEST_F(Command, UnwritableOutputIsTwoAndNamed) {
  AddRank(0, false);
  const Ended none = Lamplight("report -o /nonexistent/x " + folder_.path());
  EXPECT_EQ(none.status, 2);
  EXPECT_TRUE(Has(none, "/nonexistent/x: No such file or directory"));
  const Ended full = Lamplight("report -o /dev/full " + folder_.path());
  EXPECT_EQ(full.status, 2);
  EXPECT_TRUE(Has(full, "/dev/full: No space left on device")) << full.output;
}

TEST_F(Command, WrongCommandLineIsTwo) {
  for (const char* arguments :
       {"", "repord", "report", "report --format xml x", "dump", "dump --type Nothing x", "run",
        "run --timeout 0 -- true", "run --mode fast -- true", "run --frob -- true", "--frob"}) {
    EXPECT_EQ(Lamplight(arguments).status, 2) << arguments;
  }
}

TEST_F(Command, ErrorsNameTheValueAndWhatWouldDo) {
  EXPECT_TRUE(Has(Lamplight("repord x"), "'repord' is not known; give one of run, report"));
  EXPECT_TRUE(Has(Lamplight("report --format xml x"), "'xml' is none of text json"));
  EXPECT_TRUE(Has(Lamplight("run --timeout soon -- true"), "'soon' is not a number of seconds"));
  EXPECT_TRUE(Has(Lamplight("run --frob -- true"), "no option --frob"));
  EXPECT_TRUE(Has(Lamplight("report"), "name the trace folders"));
  EXPECT_TRUE(Has(Lamplight("dump " + folder_.path()), "is a folder; name one *.lamptrace file"));
}

TEST_F(Command, HelpAndVersionAreZeroAndHelpNamesTheExitStatus) {
  const Ended help = Lamplight("--help");
  EXPECT_EQ(help.status, 0);
  EXPECT_TRUE(Has(help, "Exit status:"));
  for (const char* arguments : {"run --help", "report --help", "dump --help", "version", "help"}) {
    EXPECT_EQ(Lamplight(arguments).status, 0) << arguments;
  }
}

TEST_F(Command, DumpPrintsEachRecordAsALineOfJson) {
  AddRank(0, true);
  const Ended ended =
      Lamplight("dump --format json --type Hang --type Site " + folder_.File("0.lamptrace"));
  ASSERT_EQ(ended.status, 0) << ended.output;
  std::vector<nlohmann::json> lines;
  for (size_t at = 0; at < ended.output.size();) {
    const size_t end = ended.output.find('\n', at);
    lines.push_back(nlohmann::json::parse(ended.output.substr(at, end - at)));
    at = end + 1;
  }
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["header"]["format"],
            std::to_string(trace::kMajor) + "." + std::to_string(trace::kMinor));
  EXPECT_EQ(lines[1]["type"], "Site");
  EXPECT_EQ(lines[1]["fields"]["frames"][1]["symbol"], "main");
  EXPECT_EQ(lines[2]["fields"]["replay"], 8);
}

TEST_F(Command, RunPassesEnvironmentArgumentsAndStatusThrough) {
  const Ended ended = Lamplight(WithShim(
      "--timeout 2.5 --mode strict --swap --cupti -- sh -c 'echo $LD_PRELOAD; echo $LAMPLIGHT_DIR; "
      "echo $LAMPLIGHT_TIMEOUT $LAMPLIGHT_MODE swap=$LAMPLIGHT_SWAP cupti=$LAMPLIGHT_CUPTI $1; "
      "test -n "
      "\"$LAMPLIGHT_JOB\"; exit 7' sh --out"));
  EXPECT_EQ(ended.status, 7);
  EXPECT_TRUE(Has(ended, folder_.File("liblamplight.so") + "\n")) << ended.output;
  EXPECT_TRUE(Has(ended, folder_.File("out") + "\n2.5 strict swap=1 cupti=1 --out\n"))
      << ended.output;
  EXPECT_TRUE(Has(ended, "no process used CUDA in a way that the shim sees\n")) << ended.output;
}

TEST_F(Command, RunWithoutATraceNamesCuptiAndTheShimsSwitch) {
  const std::string run = WithShim("-- true");
  const Ended ended = Lamplight(run);
  EXPECT_EQ(ended.output,
            "lamplight: no trace was written to " + folder_.File("out") +
                ": no process used CUDA in a way that the shim sees; for programs that link "
                "libcuda itself try --cupti\n");
  const Ended disabled = Shell("LAMPLIGHT_DISABLE=1 " LAMPLIGHT_COMMAND " " + run);
  EXPECT_EQ(disabled.output, "lamplight: LAMPLIGHT_DISABLE is set: nothing will be recorded\n");
}

TEST_F(Command, RunPrependsToAPreloadThatIsThere) {
  const std::string run = WithShim("-- sh -c 'echo $LD_PRELOAD'");
  const Ended ended =
      Shell("LD_PRELOAD=" + folder_.File("liblamplight.so") + " " LAMPLIGHT_COMMAND " " + run);
  const std::string shim = folder_.File("liblamplight.so");
  EXPECT_TRUE(Has(ended, shim + ":" + shim + "\n")) << ended.output;
}

TEST_F(Command, RunNamesTheNextCommandWhereThereAreTraces) {
  const Ended ended =
      Lamplight(WithShim("-- sh -c 'touch $LAMPLIGHT_DIR/a.lamptrace $LAMPLIGHT_DIR/b.lamptrace'"));
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(ended.output,
            "lamplight: 2 traces. Next: lamplight report " + folder_.File("out") + "\n");
}

TEST_F(Command, RunCountsOnlyTheTracesOfThisRun) {
  const std::string next = "Next: lamplight report " + folder_.File("out") + "\n";
  const std::string touch =
      "-- sh -c 'touch $LAMPLIGHT_DIR/$0.lamptrace $LAMPLIGHT_DIR/a.lamptrace' ";
  EXPECT_EQ(Lamplight(WithShim(touch + "a")).output, "lamplight: 1 trace. " + next);
  EXPECT_EQ(Lamplight(WithShim(touch + "b")).output,
            "lamplight: 1 older trace is in this folder; the report includes it\n"
            "lamplight: 1 trace. " +
                next);
  EXPECT_EQ(Lamplight(WithShim(touch + "c")).output,
            "lamplight: 2 older traces are in this folder; the report includes them\n"
            "lamplight: 1 trace. " +
                next);
  const Ended none = Lamplight(WithShim("-- true"));
  EXPECT_TRUE(Has(none, "no trace was written")) << none.output;
  EXPECT_TRUE(Has(none, "lamplight: 3 older traces are in this folder\n")) << none.output;
  EXPECT_FALSE(Has(none, "Next:")) << none.output;
}

TEST_F(Command, RunRemovesOnlyAFolderOfItsOwnThatStayedEmpty) {
  const std::string shim = folder_.File("liblamplight.so");
  Shell("echo | c++ -shared -x c++ - -o " + shim);
  const std::string there = "cd " + folder_.path() + " && " LAMPLIGHT_COMMAND " run --shim " + shim;
  Shell(there + " -- true");
  EXPECT_EQ(Shell("cd " + folder_.path() + " && ls").output, "liblamplight.so\n");
  Shell(there + " --out kept -- true");
  EXPECT_EQ(Shell("cd " + folder_.path() + " && ls").output, "kept\nliblamplight.so\n");
}

TEST_F(Command, RunReportsSignalsAsAShellDoes) {
  const Ended killed = Lamplight(WithShim("-- sh -c 'kill -9 $$'"));
  EXPECT_EQ(killed.status, 128 + 9);
  EXPECT_TRUE(Has(killed, "ended by signal 9"));
}

// A shell's background jobs ignore SIGQUIT.
TEST_F(Command, RunForwardsSigtermAndSigquitToTheProgram) {
  for (const std::string signal : {"TERM", "QUIT"}) {
    const Ended ended = Shell("timeout -s " + signal + " -k 20 1 " LAMPLIGHT_COMMAND " " +
                              WithShim("-- sh -c 'trap \"echo got it; exit 5\" " + signal +
                                       "; i=0; while [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); "
                                       "done'"));
    EXPECT_TRUE(Has(ended, "got it")) << signal << ": " << ended.output;
  }
}

TEST_F(Command, RunForwardsWhatIsSentToIt) {
  const std::string run = WithShim("");
  for (const char* signal : {"USR1", "USR2", "HUP", "CONT", "WINCH"}) {
    const std::string program = std::string("sh -c 'trap \"echo got ") + signal + "; exit 5\" " +
                                signal +
                                "; echo up > $LAMPLIGHT_DIR/up; i=0; while [ $i -lt 100 ]; do "
                                "sleep 0.1; i=$((i+1)); done'";
    const Ended ended =
        Shell("rm -f " + folder_.File("out/up") + "; " LAMPLIGHT_COMMAND " " + run + " -- " +
              program + " & run=$!; while [ ! -e " + folder_.File("out/up") +
              " ]; do sleep 0.05; done; kill -" + signal + " $run; wait $run; echo status $?");
    EXPECT_TRUE(Has(ended, std::string("got ") + signal)) << signal << ": " << ended.output;
    EXPECT_TRUE(Has(ended, "status 5")) << signal << ": " << ended.output;
  }
}

TEST_F(Command, RunOfAMissingProgramIs127) {
  const Ended ended = Lamplight(WithShim("-- /nonexistent/program"));
  EXPECT_EQ(ended.status, 127);
  EXPECT_TRUE(Has(ended, "/nonexistent/program: No such file"));
}

TEST_F(Command, RunRefusesWhatItCannotPreloadOrWrite) {
  const Ended shim = Lamplight("run --shim /nonexistent/lib.so -- true");
  EXPECT_EQ(shim.status, 2);
  EXPECT_TRUE(Has(shim, "/nonexistent/lib.so"));
  const Ended out = Lamplight(WithShim("--out /proc/none -- true"));
  EXPECT_EQ(out.status, 2);
}

}  // namespace
}  // namespace lamplight
