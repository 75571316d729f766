// What every hook needs around its own work: the host's errno stays as the real call left it, no
// exception of ours reaches the host, and no cancellation of the host's thread ends us half-way.
#pragma once

#include <cuda_runtime_api.h>

#include <cerrno>

#include "shim/hooks/inside.h"
#include "shim/no_cancel.h"
#include "shim/resolver.h"
#include "shim/session.h"

namespace lamplight::shim {

class KeepErrno {
 public:
  KeepErrno() : saved_(errno) {}
  ~KeepErrno() { errno = saved_; }
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;

 private:
  int saved_;
};

// Runs the shim's own part of a hook; whatever goes wrong in it switches the shim off.
template <class F>
void Guarded(F part) noexcept {
  const KeepErrno keep;
  const Inside inside;
  const NoCancel no_cancel;
  try {
    part();
  } catch (...) {
    Session::Fail("an internal error in a hook");
  }
}

// Not noexcept, nor is what calls it: a thread may be cancelled in the host's own call.
template <class F, class... Arguments>
cudaError_t CallReal(RealFunction<F>& real, Arguments... arguments) {
  F function = real.get();
  const Inside inside;
  // Only a process without any CUDA runtime gets here; the value is the runtime's own for that.
  return function == nullptr ? cudaErrorInitializationError : function(arguments...);
}

}  // namespace lamplight::shim
