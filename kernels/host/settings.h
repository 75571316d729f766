// What a workspace was asked to be, after all checks that need no device. Plain values;
// thread-safe.
#pragma once

#include "kernels/host/capacity.h"
#include "kernels/host/status.h"

namespace lamplight::kernels {

// How a kernel waits for its peers.
struct Patience {
  uint64_t timeout_ns = 0;  // 0: no bound
  uint8_t options = 0;      // kTrapOnTimeout, kTrapOnDivergence
};

// `field` names where the values came from, for the error's text.
Status ReadPatience(uint32_t timeout_ms, uint32_t on_timeout, uint32_t on_divergence,
                    const char* field, Patience* patience);
// LAMPLIGHT_DEFAULT_TIMEOUT is `otherwise`.
uint64_t TimeoutNs(uint32_t timeout_ms, uint64_t otherwise);

Status CheckWorld(uint32_t world, uint32_t rank, const char* name);
Status ReadDataType(uint32_t dtype, const char* name, DataType* data_type);
// A row of `hidden` elements: its length and its alignment.
Status CheckHidden(uint32_t hidden, DataType data_type, const char* name);
// `alignment` is a power of two.
Status CheckAligned(const void* address, size_t alignment, const char* name);

struct AllGather {
  lamplight_all_gather function = nullptr;
  void* context = nullptr;
  uint32_t timeout_ms = 0;
};

struct Settings {
  Capacity capacity{};
  uint32_t rank = 0;
  int device = LAMPLIGHT_CURRENT_DEVICE;
  uint32_t multiprocessors = 0;  // of the device that calls may run on; 0: all
  lamplight_memory memory = LAMPLIGHT_MEMORY_IPC;
  bool multicast = false;
  Patience patience;
  AllGather all_gather;
};

// Copies the caller's options, whatever version of the struct it has.
Status ReadOptions(const lamplight_workspace_options* from, lamplight_workspace_options* options);
// Fills all but `all_gather`, as far as the options are good.
Status ReadSettings(const lamplight_workspace_options& options, Settings* settings);

}  // namespace lamplight::kernels
