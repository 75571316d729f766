// Executable graphs. Thread-safe.
#pragma once

#include <cuda.h>

#include <memory>
#include <mutex>

#include "tests/device_sim/program.h"
#include "tests/device_sim/stream.h"

namespace device_sim {

// Invariant: `program` is never changed in place; launches in flight keep the one they started
// with.
struct Exec {
  uint64_t flags = 0;
  GraphRef source;  // as instantiated: what a launch into a capture adds
  std::mutex mutex;
  std::shared_ptr<const Program> program;
  MarkerRef last_launch;  // launches of one exec never overlap
};
using ExecRef = std::shared_ptr<Exec>;

HandleTable<Exec, CUgraphExec>& Execs();

Status Instantiate(CUgraphExec* out, CUgraph graph, uint64_t flags);
Status DestroyExec(CUgraphExec exec);
Status LaunchExec(CUgraphExec exec, Stream& stream);
Status UploadExec(CUgraphExec exec, Stream& stream);
Status UpdateExec(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo* outcome);
Status ExecFlags(CUgraphExec exec, uint64_t* flags);

// Replaces the operation of the step that came from `node`; its kind must stay.
Status SetExecNode(CUgraphExec exec, CUgraphNode node, Operation operation);
// Replaces all operations of the child graph below `node` by those of `child`, which must have the
// same shape; children of children do not change.
Status SetExecChild(CUgraphExec exec, CUgraphNode node, CUgraph child);
Status SetExecNodeEnabled(CUgraphExec exec, CUgraphNode node, bool enabled);
Status ExecNodeEnabled(CUgraphExec exec, CUgraphNode node, bool* enabled);

}  // namespace device_sim
