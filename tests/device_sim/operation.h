// What a stream or a graph node does. Plain values; executing one is thread-safe.
#pragma once

#include <cuda.h>

#include <memory>
#include <variant>

#include "tests/device_sim/event.h"
#include "tests/device_sim/kernel_launch.h"
#include "tests/device_sim/stream_memory.h"

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

// Memory that a graph owns: there from the making of the node to the end of all that has it.
struct AllocateCall {
  std::shared_ptr<StreamMemory> memory;
};
// Of such memory in a graph; elsewhere it ends with the execution.
struct FreeCall {
  uintptr_t address = 0;
  bool in_graph = false;
};

using Operation = std::variant<KernelCall, CopyCall, FillCall, HostCall, EmptyCall, ChildCall,
                               EventRecordCall, EventWaitCall, AllocateCall, FreeCall>;

CUgraphNodeType TypeOf(const Operation& operation);
// Graphs with such nodes can lose no nodes or edges, and cannot be copied or become children.
bool OwnsMemory(const Operation& operation);

// Executes a kernel, copy, fill, host or empty operation; graphs resolve the others beforehand.
Status Execute(const Operation& operation, const std::function<void()>& while_polling);

}  // namespace device_sim
