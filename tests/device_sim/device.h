// The simulated devices and their primary contexts.
//
// Thread-safe. Devices exist from the first use to the end of the process and are never destroyed.
#pragma once

#include <cuda.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/device_sim/context.h"
#include "tests/device_sim/marker.h"
#include "tests/device_sim/status.h"
#include "tests/device_sim/stream.h"

namespace device_sim {

inline constexpr int kDriverVersion = 13000;
inline constexpr char kDeviceName[] = "Simulated H100";
inline constexpr int kComputeMajor = 9;
inline constexpr int kComputeMinor = 0;

struct Device {
  explicit Device(int ordinal_in);

  Context& primary() { return *primary_; }
  // A kernel that failed makes the device fail from then on.
  void Fail(Status status);
  Status failure() const { return failure_.load(std::memory_order_acquire); }
  Status Synchronize();
  Status EnablePeer(int peer);
  Status DisablePeer(int peer);
  bool HasPeer(int peer) const { return (peers_.load() & 1u << peer) != 0; }
  void Register(const StreamRef& stream);
  StreamRef legacy_stream();
  // Where new work on a stream of this device must wait by the rules of the legacy stream.
  Markers Ordering(const Stream& stream);

  const int ordinal;
  // Held from Ordering to the end of the submission, so that the two stay one step.
  std::mutex order_mutex;

 private:
  std::vector<StreamRef> LiveStreams();

  Context* const primary_;
  std::atomic<Status> failure_{kOk};
  std::atomic<uint32_t> peers_{0};  // bit per ordinal
  std::mutex mutex_;
  StreamRef legacy_;
  std::vector<std::weak_ptr<Stream>> streams_;
};

// cuInit. Fails in a child forked from a process that had used the device.
Status Initialise();
Status CheckInitialised();
int DeviceCount();
// Null where there is no such device.
Device* DeviceAt(int ordinal);

// The thread's current device; null where it has no context.
Device* CurrentDevice();
// Makes the device's primary context current.
void SetCurrentDevice(Device& device);

void DeviceUuid(int ordinal, CUuuid* uuid);
Status DeviceAttribute(int* value, CUdevice_attribute attribute);

// True from the moment that the process exits: kernels unwind, and threads park.
bool TornDown();
[[noreturn]] void ParkThread();

}  // namespace device_sim
