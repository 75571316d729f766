// Processes whose records end before a hang of another one was noticed.
//
// Pure functions; safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analyzer/trace_model.h"

namespace lamplight {

// How long the process had written nothing when the hang was noticed: it was killed, has crashed or
// stands still. Nothing where it wrote, has ended in an orderly way, or has a clock that does not
// compare.
std::optional<uint64_t> SilentFor(const Model& model, Index process, const Hang& hang);

// "its trace ends 8.3 s before the hang was noticed, …"
std::string SilenceText(uint64_t silent_ns);
// What to look at.
std::vector<std::string> AdviceOnSilence();

}  // namespace lamplight
