// posix_spawn, then sigwaitinfo: no asynchronous handlers.
#include "analyzer/commands/child.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>

namespace lamplight {
namespace {

// What people and supervisors send to one process: what a terminal sends has reached the child too.
constexpr int kForwarded[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT,
                              SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};

// Blocks what RunChild waits for; puts the old mask back.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigemptyset(&waited_);
    sigaddset(&waited_, SIGCHLD);
    for (const int signal : kForwarded) sigaddset(&waited_, signal);
    sigprocmask(SIG_BLOCK, &waited_, &before_);
  }
  ~BlockedSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  const sigset_t& waited() const { return waited_; }
  const sigset_t& before() const { return before_; }

 private:
  sigset_t waited_;
  sigset_t before_;
};

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

int Spawn(const std::vector<std::string>& command, const std::vector<std::string>& environment,
          const sigset_t& mask, pid_t* pid) {
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setsigmask(&attributes, &mask);
  const int error = posix_spawnp(pid, command.front().c_str(), nullptr, &attributes,
                                 Pointers(command).data(), Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  return error;
}

ChildEnd EndOf(int status) {
  ChildEnd end;
  end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  end.exit_status = end.signal != 0 ? 128 + end.signal : WEXITSTATUS(status);
  return end;
}

}  // namespace

ChildEnd RunChild(const std::vector<std::string>& command,
                  const std::vector<std::string>& environment) {
  const BlockedSignals blocked;
  pid_t child = 0;
  ChildEnd failed;
  failed.start_error = Spawn(command, environment, blocked.before(), &child);
  if (failed.start_error != 0) return failed;
  for (;;) {
    siginfo_t got = {};
    const int signal = sigwaitinfo(&blocked.waited(), &got);
    if (signal < 0 && errno != EINTR) return failed;
    const bool from_terminal = got.si_code == SI_KERNEL;  // sent to the whole foreground group
    if (signal > 0 && signal != SIGCHLD && !from_terminal) kill(child, signal);
    int status = 0;
    if (signal == SIGCHLD && waitpid(child, &status, WNOHANG) == child) return EndOf(status);
  }
}

}  // namespace lamplight
