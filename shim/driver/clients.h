// Who is given the fronts: modules that ask the dynamic linker for the driver's functions, as a
// statically linked CUDA runtime does, and are none of CUDA's own libraries.
//
// Thread-safe, without a lock: dlsym may be called with the dynamic linker's lock held, and a
// thread may fork at any moment.
#pragma once

#include "shim/recorder/recorder.h"

namespace lamplight::shim::driver {

// What LAMPLIGHT_DRIVER asks for.
struct Wish {
  enum Kind {
    kOff,
    kAuto,  // who asks for cuGetProcAddress: static runtimes, and others that find all through it
    kOn,    // who asks for any function of the driver
  };
  Kind kind = kAuto;
  bool understood = true;

  static Wish FromEnvironment();
  // The same as it was at the first call, and kOff with LAMPLIGHT_DISABLE: dlsym is called by
  // threads of which no one knows whether others change the environment.
  static Kind OfProcess() noexcept;
};

using Dlsym = void* (*)(void* handle, const char* name);

// Whether `caller`, an address of the code that calls dlsym, is a client and this its question.
// Cheap for all other names.
bool IsClients(Wish::Kind wish, const char* name, void* handle, const void* caller) noexcept;

// Answers a client with a front, and remembers who it is.
void* Answer(Dlsym real, void* handle, const char* name, const void* caller) noexcept;

// Writes down the clients so far, with the recorder's session in force: later ones are written down
// as they come. One that comes meanwhile may be written twice.
void Define(Recorder& recorder);

}  // namespace lamplight::shim::driver
