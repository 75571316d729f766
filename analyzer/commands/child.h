// A child process that gets its parent's signals. One at a time: blocks signals of the whole
// process.
#pragma once

#include <string>
#include <vector>

namespace lamplight {

struct ChildEnd {
  int start_error = 0;  // errno value: it never ran
  int exit_status = 0;  // 128 + signal where a signal ended it
  int signal = 0;
};

// Runs `command` to its end. SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT and
// SIGWINCH go on to it; what comes from the terminal has reached it already.
ChildEnd RunChild(const std::vector<std::string>& command,
                  const std::vector<std::string>& environment);

}  // namespace lamplight
