// One call on a workspace: everything that can be wrong with it is found here, before anything is
// launched. Thread-safe: no state.
#pragma once

#include "kernels/host/workspace.h"

namespace lamplight::kernels {

// What is to be launched.
struct PlannedCall {
  CollectiveCall call;
  const void* function = nullptr;
  LaunchPlan launch;
  bool pdl = false;
};

Status PlanCall(const Workspace& workspace, const lamplight_call* call, PlannedCall* planned);

// Bytes of a call's scale output.
uint64_t ScaleBytes(uint32_t tokens, uint32_t hidden, Quantisation quantisation,
                    ScaleLayout layout);
Status ReadQuantisation(uint32_t value, uint32_t layout, uint32_t hidden,
                        Quantisation* quantisation);

// Launches on the current device.
Status Launch(const Workspace& workspace, const PlannedCall& planned, cudaStream_t stream);

}  // namespace lamplight::kernels
