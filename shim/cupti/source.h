// The third source of events beside the hooks of preload.cc and the fronts of driver/: CUPTI's
// callbacks of the driver API. They see what those cannot: calls of programs that link the driver
// itself, or were started without the preload.
//
// CUPTI has one subscriber in a process, so this is on only where LAMPLIGHT_CUPTI asks for it. All
// functions may be called by any thread; a subscription lasts as long as the process.
#pragma once

#include <string>

#include "shim/recorder/recorder.h"

namespace lamplight::shim::cupti {

// What LAMPLIGHT_CUPTI asks for.
struct Wish {
  enum Kind {
    kOff,
    kAuto,  // only where there is no runtime that the shim could stand in front of
    kOn,
  };
  Kind kind = kOff;
  std::string library;  // a path; empty: to be found
  bool understood = true;

  static Wish FromEnvironment();
};

// As the shim is loaded: has the driver call InitializeInjection of this library from cuInit, which
// is the one moment that all programs that use CUDA pass and no other does. Nothing where
// LAMPLIGHT_CUPTI does not ask for it.
void AskForInjection() noexcept;

// Subscribes if it is wished for and was not tried yet. `injected`: the driver itself calls.
void Start(bool injected) noexcept;

// Callbacks come.
bool InForce() noexcept;

// Writes down what came of Start; nothing where it was not wished for.
void Define(Recorder& recorder);

}  // namespace lamplight::shim::cupti
