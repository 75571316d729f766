// What each function of the driver API means to the shim: the same parts of hooks/ that preload.cc
// calls, those before the real call at its enter and those behind it at its exit. Used by whoever
// sees such calls: fronts.h, which stands in front of them, and cupti/, which is called back.
//
// Any thread; a call's state between its two parts is its thread's.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <span>
#include <type_traits>
#include <variant>

#include "shim/cupti/abi.h"
#include "shim/hooks/capture.h"
#include "shim/hooks/graph.h"
#include "shim/hooks/launch.h"
#include "shim/streams.h"

namespace lamplight::shim::driver {

// Parameters of the functions, and names for them.
namespace abi = lamplight::cupti;

// What a call keeps between its parts. Trivial, so that a thread that ends leaves nothing to do;
// the driver's calls do not nest.
struct KeptCall {
  uint64_t serial = 0;  // of the call under way
  std::variant<std::monostate, hooks::CaptureStart, hooks::EagerCall, hooks::GraphLaunchCall,
               hooks::ContextEnd, hooks::InstantiateCall*, hooks::UpdateCall*>
      call;
};
static_assert(std::is_trivially_destructible_v<KeptCall>);
inline constinit thread_local KeptCall kept;

// One call, at its enter or its exit.
struct Call {
  const void* parameters;  // a struct of abi
  CUresult* result;        // at the exit; may be given another value
  uint64_t* shared;        // between the two
  bool per_thread;         // the null stream is the thread's own

  template <class P>
  const P& As() const {
    return *static_cast<const P*>(parameters);
  }
  CUstream On(CUstream stream) const { return DriverStream(stream, per_thread); }
  // At the exit. The driver's codes are the runtime's.
  cudaError_t status() const { return static_cast<cudaError_t>(*result); }
  bool succeeded() const { return status() == cudaSuccess; }

  template <class T>
  void Keep(const T& state) const {
    kept.call = state;
    *shared = ++kept.serial;
  }
  // Null where the enter was not seen.
  template <class T>
  T* Kept() const {
    const bool this_one = *shared != 0 && *shared == kept.serial;
    return this_one ? std::get_if<T>(&kept.call) : nullptr;
  }
};

using Part = void (*)(const Call&);

struct Watched {
  abi::CallId id;
  Part enter;           // null: nothing
  Part exit;            // null: nothing
  bool needed = false;  // no driver that is new enough lacks it
};

// All but the launches of kernels.
std::span<const Watched> Calls();

}  // namespace lamplight::shim::driver
