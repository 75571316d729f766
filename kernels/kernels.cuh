// Turns the list of entry_points.cuh into kernels and the table of one data type. For kernels_*.cu.
#pragma once

#include "kernels/entry_points.cuh"
#include "kernels/kernel_list.h"

// Registers: few enough for launch_plan.cc's counts of blocks on a multiprocessor. Two bounds for
// one kernel are not allowed.
#define LAMPLIGHT_BOUNDS_kGeneral(world) __launch_bounds__(kMaxBlockThreads, 1)
#define LAMPLIGHT_BOUNDS_kPlain(world) LAMPLIGHT_PLAIN_BOUNDS_##world
#define LAMPLIGHT_BOUNDS_kStreamed(world) LAMPLIGHT_PLAIN_BOUNDS_##world
#define LAMPLIGHT_PLAIN_BOUNDS_0 __launch_bounds__(kMaxPlainThreads, 1)
#define LAMPLIGHT_PLAIN_BOUNDS_2 __maxnreg__(kPlainRegisters)
#define LAMPLIGHT_PLAIN_BOUNDS_4 __maxnreg__(kPlainRegisters)
#define LAMPLIGHT_PLAIN_BOUNDS_8 __launch_bounds__(kMaxPlainThreads, 1)

#define LAMPLIGHT_DEFINE(symbol, form, kernel, protocol, Type, world, Body, Exchange) \
  extern "C" __global__ void LAMPLIGHT_BOUNDS_##form(world)                           \
      symbol(const __grid_constant__ CollectiveCall call) {                           \
    Body<Exchange<DataType::Type, world>>(call);                                      \
  }
#define LAMPLIGHT_LIST(symbol, form, kernel, protocol, Type, world, Body, Exchange) \
  {{Kernel::kernel, Protocol::protocol, DataType::Type, world, KernelForm::form},   \
   reinterpret_cast<const void*>(&symbol)},

#define LAMPLIGHT_KERNEL_FILE(name, Type, List)                                           \
  namespace lamplight::kernels {                                                          \
  LAMPLIGHT_KERNELS(LAMPLIGHT_DEFINE, name, Type)                                         \
  std::span<const CompiledKernel> List() {                                                \
    static const CompiledKernel list[] = {LAMPLIGHT_KERNELS(LAMPLIGHT_LIST, name, Type)}; \
    return list;                                                                          \
  }                                                                                       \
  }
