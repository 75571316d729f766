// Device state of the process. Thread-safe.
#include "tests/device_sim/device.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "tests/device_sim/config.h"
#include "tests/device_sim/tool_callbacks.h"

namespace device_sim {
namespace {

std::atomic<bool> initialised{false};
std::atomic<bool> forked{false};
std::atomic<bool> torn_down{false};

std::vector<std::unique_ptr<Device>>& Devices() {
  static auto& devices = *new std::vector<std::unique_ptr<Device>>;
  return devices;
}

void CreateDevices(int count) {
  for (int i = 0; i < count; ++i) Devices().push_back(std::make_unique<Device>(i));
  pthread_atfork(nullptr, nullptr, [] { forked = true; });
}

uint64_t ReadClockNs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

__attribute__((destructor)) void TearDown() { torn_down = true; }

}  // namespace

uint64_t GlobalTimerNs() { return ReadClockNs(CLOCK_REALTIME); }
uint64_t SteadyNs() { return ReadClockNs(CLOCK_MONOTONIC); }

bool TornDown() { return torn_down.load(std::memory_order_relaxed); }

void ParkThread() {
  while (true) pause();
}

Status Initialise() {
  if (forked) return CUDA_ERROR_NOT_INITIALIZED;
  const auto& config = TheConfig();
  if (!config || config->devices == 0) return CUDA_ERROR_NO_DEVICE;
  static std::once_flag once;
  std::call_once(once, [&] {
    CreateDevices(config->devices);
    InjectTool();
  });
  initialised = true;
  return kOk;
}

Status CheckInitialised() { return initialised && !forked ? kOk : CUDA_ERROR_NOT_INITIALIZED; }

int DeviceCount() { return static_cast<int>(Devices().size()); }

Device* DeviceAt(int ordinal) {
  if (ordinal < 0 || ordinal >= DeviceCount()) return nullptr;
  return Devices()[static_cast<size_t>(ordinal)].get();
}

Device::Device(int ordinal_in)
    : ordinal(ordinal_in), primary_(CreateContext(*this, Context::Kind::kPrimary)) {}

Device* CurrentDevice() {
  const Context* context = CurrentContext();
  return context == nullptr ? nullptr : &context->device();
}

void SetCurrentDevice(Device& device) { SetCurrentContext(&device.primary()); }

void DeviceUuid(int ordinal, CUuuid* uuid) {
  std::memcpy(uuid->bytes, "lamplight-sim-00", sizeof uuid->bytes);
  uuid->bytes[15] = static_cast<char>('0' + ordinal);
}

void Device::Fail(Status status) {
  Status expected = kOk;
  failure_.compare_exchange_strong(expected, status);
}

Status Device::EnablePeer(int peer) {
  const uint32_t bit = 1u << peer;
  return (peers_.fetch_or(bit) & bit) != 0 ? CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED : kOk;
}

Status Device::DisablePeer(int peer) {
  const uint32_t bit = 1u << peer;
  return (peers_.fetch_and(~bit) & bit) == 0 ? CUDA_ERROR_PEER_ACCESS_NOT_ENABLED : kOk;
}

void Device::Register(const StreamRef& stream) {
  const std::lock_guard lock(mutex_);
  std::erase_if(streams_, [](const auto& weak) { return weak.expired(); });
  streams_.push_back(stream);
}

StreamRef Device::legacy_stream() {
  const std::lock_guard lock(mutex_);
  if (legacy_ == nullptr) {
    legacy_ = std::make_shared<Stream>(primary(), StreamKind::kLegacy, 0);
    streams_.push_back(legacy_);
  }
  return legacy_;
}

std::vector<StreamRef> Device::LiveStreams() {
  const std::lock_guard lock(mutex_);
  std::vector<StreamRef> live;
  for (const auto& weak : streams_) {
    if (auto stream = weak.lock()) live.push_back(std::move(stream));
  }
  return live;
}

Status Device::Synchronize() {
  for (const StreamRef& stream : LiveStreams()) {
    if (const MarkerRef tail = stream->tail()) tail->Wait();
  }
  return failure();
}

Markers Device::Ordering(const Stream& stream) {
  Markers after;
  const auto add = [&](const Stream& other) {
    MarkerRef tail = other.tail();
    if (tail != nullptr && !tail->done()) after.push_back(std::move(tail));
  };
  if (stream.kind() != StreamKind::kLegacy) {
    const std::lock_guard lock(mutex_);
    if (legacy_ != nullptr) add(*legacy_);
    return after;
  }
  for (const StreamRef& other : LiveStreams()) {
    if (other.get() != &stream && other->kind() != StreamKind::kNonBlocking) add(*other);
  }
  return after;
}

}  // namespace device_sim
