// Stream capture: which streams build which graph, and which calls that forbids.
//
// Thread-safe: guarded by TopologyMutex(); functions take it.
#pragma once

#include <cuda.h>

#include <memory>
#include <thread>
#include <vector>

#include "tests/device_sim/graph.h"
#include "tests/device_sim/stream.h"

namespace device_sim {

// One capture sequence. Invariant: a stream is in `streams` while its `capture` is this one.
struct Capture {
  uint64_t id = 0;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id thread;
  GraphRef graph;
  CUgraph existing = nullptr;  // the caller's own graph, where capture adds to one
  Stream* origin = nullptr;
  bool invalidated = false;
  std::vector<StreamRef> streams;
};

Status BeginCapture(Stream& stream, CUstreamCaptureMode mode);
Status BeginCaptureToGraph(Stream& stream, CUgraph graph, NodeSpan dependencies,
                           const CUgraphEdgeData* edges, CUstreamCaptureMode mode);
Status EndCapture(Stream& stream, CUgraph* out);
// The stream goes away.
void AbandonCapture(Stream& stream);

struct CaptureReport {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  uint64_t id = 0;
  CUgraph graph = nullptr;
  const CUgraphNode* tips = nullptr;  // valid until the stream's next call
  const CUgraphEdgeData* edges = nullptr;
  size_t count = 0;
};
Status ReportCapture(Stream& stream, CaptureReport* report);
Status UpdateTips(Stream& stream, NodeSpan nodes, const CUgraphEdgeData* edges, bool replace);

// Appends to the graph that the stream captures.
Status CaptureOperation(Stream& stream, Operation operation);
// The same, with TopologyMutex() held; a child graph is taken over as it is.
Status CaptureLocked(Stream& stream, Operation operation);
Status CaptureEventRecord(Stream& stream, Event& event);
// The stream waits for an event recorded in a capture, and joins it.
Status JoinCapture(Stream& stream, Event& event);
// A capturing stream may not wait for an event from outside.
Status RefuseIsolatedWait(Stream& stream);

// Calls that may disturb a capture: refused, and the capture invalidated, while one forbids them.
Status CheckUnsafeCall();
// Calls that no capture allows on its streams.
Status CheckNotCapturing(Stream& stream);
// Waiting for a whole device is never possible while any of its streams captures.
Status CheckDeviceWait(const Device& device);
// Work on the legacy stream would depend on capturing blocking streams.
Status CheckLegacyUse(const Stream& stream);

Status ExchangeThreadMode(CUstreamCaptureMode* mode);

}  // namespace device_sim
