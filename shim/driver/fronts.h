// Functions of ours that stand in front of the driver's: each does what driver/calls.h says around
// the real one, and may launch another kernel in the place of the host's, which CUPTI's callbacks
// cannot.
//
// Thread-safe. The fronts last as long as the process.
#pragma once

namespace lamplight::shim::driver {

// What a client is to be given in the place of the driver's function at `real`: itself where no
// front stands there. A function is known by its address, and so by its exact signature: a form of
// it that a newer driver adds is given away as it is. Loads nothing; without a lock.
void* FrontOf(void* real) noexcept;

// A front has been given away.
bool Given() noexcept;

}  // namespace lamplight::shim::driver
