// What a stream or a graph node does. Plain values; executing one is thread-safe.
#pragma once

#include <cuda.h>

#include <memory>
#include <variant>

#include "tests/device_sim/event.h"
#include "tests/device_sim/kernel_launch.h"

namespace device_sim {

struct Graph;

struct CopyCall {
  uintptr_t to = 0;
  uintptr_t from = 0;
  size_t bytes = 0;
  bool device_to_host = false;
  // The source's bytes as of the call, where the source is pageable host memory of an eager copy.
  std::shared_ptr<const std::vector<std::byte>> staged;
};

struct FillCall {
  uintptr_t to = 0;
  unsigned value = 0;
  unsigned element_bytes = 1;  // 1, 2 or 4
  size_t width = 0;            // elements in a row
  size_t rows = 1;
  size_t pitch = 0;
};

struct HostCall {
  CUhostFn function = nullptr;
  void* argument = nullptr;
};

struct EmptyCall {};
struct ChildCall {
  std::shared_ptr<Graph> graph;
};
struct EventRecordCall {
  EventRef event;
};
struct EventWaitCall {
  EventRef event;
};

using Operation = std::variant<KernelCall, CopyCall, FillCall, HostCall, EmptyCall, ChildCall,
                               EventRecordCall, EventWaitCall>;

CUgraphNodeType TypeOf(const Operation& operation);

// Executes a kernel, copy, fill, host or empty operation; graphs resolve the others beforehand.
Status Execute(const Operation& operation, const std::function<void()>& while_polling);

}  // namespace device_sim
