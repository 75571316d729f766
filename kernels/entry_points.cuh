// The kernels by their symbols, for one data type: LAMPLIGHT_KERNELS(macro, type) names each of
// them once, for nvcc's sources and for the simulated device alike. No state.
//
// macro(symbol, form, kernel, protocol, type, world, body, exchange), in namespace
// lamplight::kernels.
#pragma once

#include "kernels/epoch.cuh"
#include "kernels/mnnvl.cuh"
#include "kernels/streamed.cuh"
#include "kernels/two_shot.cuh"
#include "kernels/unicast.cuh"

// General and plain form of a kernel.
#define LAMPLIGHT_KERNEL_FORMS(M, symbol, kernel, protocol, Type, world, Body, Exchange) \
  M(symbol, kGeneral, kernel, protocol, Type, world, Body, Exchange)                     \
  M(symbol##_plain, kPlain, kernel, protocol, Type, world, Plain##Body, Exchange)

#define LAMPLIGHT_KERNELS_OF(M, name, Type, world)                                                 \
  LAMPLIGHT_KERNEL_FORMS(M, lamplight_oneshot_mnnvl_##name##_w##world, kOneShot, kMnnvl, Type,     \
                         world, OneShot, Mnnvl)                                                    \
  LAMPLIGHT_KERNEL_FORMS(M, lamplight_oneshot_unicast_##name##_w##world, kOneShot, kUnicast, Type, \
                         world, OneShot, Unicast)                                                  \
  LAMPLIGHT_KERNEL_FORMS(M, lamplight_oneshot_unicastwords_##name##_w##world, kOneShot,            \
                         kUnicastInWords, Type, world, OneShot, UnicastInWords)                    \
  LAMPLIGHT_KERNEL_FORMS(M, lamplight_oneshot_epoch_##name##_w##world, kOneShot, kEpoch, Type,     \
                         world, OneShot, Epoch)                                                    \
  LAMPLIGHT_KERNEL_FORMS(M, lamplight_twoshot_mnnvl_##name##_w##world, kTwoShot, kMnnvl, Type,     \
                         world, TwoShot, Mnnvl)                                                    \
  LAMPLIGHT_KERNEL_FORMS(M, lamplight_twoshot_epoch_##name##_w##world, kTwoShot, kEpoch, Type,     \
                         world, TwoShot, Epoch)                                                    \
  M(lamplight_sends_mnnvl_##name##_w##world, kGeneral, kTwoShotSends, kMnnvl, Type, world,         \
    TwoShotSends, Mnnvl)

// The streamed form of one-shot kernels.
#define LAMPLIGHT_STREAMED_OF(M, name, Type, world)                                              \
  M(lamplight_oneshot_mnnvl_##name##_w##world##_streamed, kStreamed, kOneShot, kMnnvl, Type,     \
    world, StreamedOneShot, Mnnvl)                                                               \
  M(lamplight_oneshot_unicast_##name##_w##world##_streamed, kStreamed, kOneShot, kUnicast, Type, \
    world, StreamedOneShot, Unicast)                                                             \
  M(lamplight_oneshot_unicastwords_##name##_w##world##_streamed, kStreamed, kOneShot,            \
    kUnicastInWords, Type, world, StreamedOneShot, UnicastInWords)                               \
  M(lamplight_oneshot_epoch_##name##_w##world##_streamed, kStreamed, kOneShot, kEpoch, Type,     \
    world, StreamedOneShot, Epoch)

#define LAMPLIGHT_KERNELS(M, name, Type)  \
  LAMPLIGHT_KERNELS_OF(M, name, Type, 0)  \
  LAMPLIGHT_KERNELS_OF(M, name, Type, 2)  \
  LAMPLIGHT_KERNELS_OF(M, name, Type, 4)  \
  LAMPLIGHT_KERNELS_OF(M, name, Type, 8)  \
  LAMPLIGHT_STREAMED_OF(M, name, Type, 2) \
  LAMPLIGHT_STREAMED_OF(M, name, Type, 4) \
  M(lamplight_norm_mnnvl_##name##_w0, kGeneral, kTwoShotNorm, kMnnvl, Type, 0, TwoShotNorm, Mnnvl)
