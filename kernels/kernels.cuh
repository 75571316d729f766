// Turns the list of entry_points.cuh into kernels and the table of one data type. For kernels_*.cu.
#pragma once

#include "kernels/entry_points.cuh"
#include "kernels/kernel_list.h"

#define LAMPLIGHT_DEFINE(symbol, kernel, protocol, Type, world, Body, Exchange) \
  extern "C" __global__ void __launch_bounds__(kMaxBlockThreads, 1)             \
      symbol(const __grid_constant__ CollectiveCall call) {                     \
    Body<Exchange<DataType::Type, world>>(call);                                \
  }
#define LAMPLIGHT_LIST(symbol, kernel, protocol, Type, world, Body, Exchange) \
  {{Kernel::kernel, Protocol::protocol, DataType::Type, world},               \
   reinterpret_cast<const void*>(&symbol)},

#define LAMPLIGHT_KERNEL_FILE(name, Type, List)                                           \
  namespace lamplight::kernels {                                                          \
  LAMPLIGHT_KERNELS(LAMPLIGHT_DEFINE, name, Type)                                         \
  std::span<const CompiledKernel> List() {                                                \
    static const CompiledKernel list[] = {LAMPLIGHT_KERNELS(LAMPLIGHT_LIST, name, Type)}; \
    return list;                                                                          \
  }                                                                                       \
  }
