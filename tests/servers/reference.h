// The model on the host, for --verify. Thread-safe: no state.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "options.h"
#include "payload.h"

namespace piecewise {

// What every rank should put out for `request`.
std::vector<uint16_t> ReferenceOutput(const Options& options, const Request& request);

// Values of `output` that lie outside the tolerance of the reference.
uint64_t CountWrong(const Options& options, const Request& request,
                    std::span<const uint16_t> output);

}  // namespace piecewise
