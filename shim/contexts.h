// Which CUDA contexts share their memory: a green context stands in its device's primary one, and
// what is allocated in either serves both; an ordinary context has memory of its own.
//
// Nothing is kept, as handles are reused: every answer is the driver's. No query here breaks a
// capture. Callers hold a RelaxedCapture.
#pragma once

#include <cuda.h>

#include <vector>

#include "shim/driver_api.h"

namespace lamplight::shim {

// Makes `context` current on this thread while it lives, where it is not already. Null: whichever
// is current stays.
class WithContext {
 public:
  WithContext(const DriverApi& driver, CUcontext context) noexcept;
  ~WithContext();
  WithContext(const WithContext&) = delete;
  WithContext& operator=(const WithContext&) = delete;

  // False: the driver refuses.
  bool current() const { return current_; }

 private:
  const DriverApi& driver_;
  CUcontext before_ = nullptr;
  bool changed_ = false;
  bool current_ = false;
};

// The context whose memory kernels in this thread's current context see: that one itself, or the
// primary one where it is green. Null: there is none, or a capture forbids to ask.
CUcontext MemoryContext(const DriverApi& driver) noexcept;

// Where `stream` is of a green context, lets that be made current. Its nodes name it as their
// context from the start, but the driver refuses the name (CUDA_ERROR_INVALID_CONTEXT) until
// somebody has asked for it. Returns the multiprocessors that it has; 0: all of the device, or not
// known. The stream must not be captured.
uint32_t NameGreenContext(const DriverApi& driver, CUstream stream) noexcept;

// What kernel nodes in other contexts may be told by the shim, for a while. Belongs to one thread.
class Reach {
 public:
  Reach(const DriverApi& driver, CUcontext home) : driver_(driver), home_(home) {}

  // Whether kernels in `context` see the memory of the home context. Null is home.
  bool Sees(CUcontext context);
  // Whether they do, and the node of `parameters` keeps its context when it is given others. Tried
  // on a graph of our own: by its documentation the driver may ignore the context there, and the
  // host's kernel would silently run on other multiprocessors.
  bool MayTell(const CUDA_KERNEL_NODE_PARAMS& parameters);

 private:
  struct Seen {
    CUcontext context;
    bool sees;
  };
  struct Tried {
    CUcontext context;
    const void* kernel;
    bool keeps;
  };
  bool Keeps(const CUDA_KERNEL_NODE_PARAMS& parameters) const;

  const DriverApi& driver_;
  CUcontext home_;
  std::vector<Seen> seen_;
  std::vector<Tried> tried_;
};

}  // namespace lamplight::shim
