// The model on the host, for --verify. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <span>

#include "options.h"
#include "payload.h"

namespace piecewise {

// Outputs of `request` that lie outside the tolerance of the reference.
uint64_t CountWrong(const Options& options, const Request& request,
                    std::span<const uint16_t> output);

}  // namespace piecewise
