// Registers the kernels of kernels/entry_points.cuh with the simulated device, under the symbols
// that nvcc gives them. For collectives_*.cc; the registrations are static objects.
#pragma once

#include "kernels/entry_points.cuh"
#include "tests/device_sim/fibers/fiber_grid.h"
#include "tests/device_sim/sim_kernel.h"

namespace lamplight::kernels {

template <void (*kBody)(const CollectiveCall&)>
void OnFibers(device_sim::KernelContext& context, CollectiveCall call) {
  context.CheckReach(call.journal.tickets_or_mark);
  device_sim::fibers::RunGrid(context, kBody, call);
}

}  // namespace lamplight::kernels

#define LAMPLIGHT_REGISTER(symbol, form, kernel, protocol, Type, world, Body, Exchange) \
  const device_sim::KernelRegistration symbol(#symbol,                                  \
                                              &OnFibers<&Body<Exchange<DataType::Type, world>>>);

#define LAMPLIGHT_REGISTER_KERNELS(name, Type)      \
  namespace lamplight::kernels {                    \
  namespace {                                       \
  LAMPLIGHT_KERNELS(LAMPLIGHT_REGISTER, name, Type) \
  }                                                 \
  }
