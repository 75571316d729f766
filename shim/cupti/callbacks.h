// What each callback of the driver API means: the parts of driver/calls.h, at enter and exit.
//
// A call is recorded once: callbacks of calls that came in through a hook or one of driver/'s
// fronts, or that the shim makes itself, are ignored. Any thread; a call's state between its two
// callbacks is its thread's.
#pragma once

#include <cstdint>
#include <span>

#include "shim/cupti/abi.h"

namespace lamplight::shim::cupti {

namespace abi = lamplight::cupti;

struct CallbackId {
  uint32_t id;
  bool needed;  // no CUPTI that is new enough lacks it
};

// All that are to be enabled. After PrepareCallbacks.
std::span<const CallbackId> CallbackIds();
void PrepareCallbacks();

void OnCallback(void* user, int domain, uint32_t id, const void* data) noexcept;

}  // namespace lamplight::shim::cupti
