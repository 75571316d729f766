// Stacks of the Python threads of this process, where it runs CPython.
//
// Any thread may call; it need not be known to Python. Never blocks longer than about its time
// limit.
#pragma once

#include <chrono>
#include <string>

namespace lamplight::stacks {

// True with the stacks in `text`; else `why_not` says what was missing. Waits at most half of the
// limit for the GIL, on a thread of its own that is abandoned then; a running Python thread yields
// it for a moment, a stuck one is left alone and the stacks are printed without it.
bool PythonStacks(std::string* text, std::string* why_not,
                  std::chrono::milliseconds time_limit) noexcept;

}  // namespace lamplight::stacks
