// Stacks of the Python threads of this process, where it runs CPython.
//
// Any thread may call; it need not be known to Python. Never blocks longer than about its time
// limit.
#pragma once

#include <chrono>
#include <string>

namespace lamplight::stacks {

// True with the stacks in `text`; else `why_not` says what was missing. Takes no GIL from a thread
// that holds it: the work is done on a thread of its own that is abandoned when the time is up.
bool PythonStacks(std::string* text, std::string* why_not,
                  std::chrono::milliseconds time_limit) noexcept;

}  // namespace lamplight::stacks
