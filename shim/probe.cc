// The probe thread is detached: it may be stuck in the driver when the process ends.
#include "shim/probe.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "shim/block_signals.h"
#include "shim/hooks/inside.h"

namespace lamplight::shim {
namespace {

using Clock = std::chrono::steady_clock;

void PauseOneMs() {
  const timespec pause{0, 1000000};
  nanosleep(&pause, nullptr);
}

}  // namespace

struct Probe::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::function<void()> task;
  Device* device = nullptr;
  uint64_t posted = 0;
  uint64_t finished = 0;
  bool stop = false;
};

Probe::Probe(const DriverApi& driver) : driver_(driver), state_(std::make_shared<State>()) {
  const BlockSignals block;
  std::thread([&driver, state = state_] { Loop(driver, state); }).detach();
}

Probe::~Probe() {
  std::lock_guard lock(state_->mutex);
  state_->stop = true;
  state_->changed.notify_all();
}

void Probe::Loop(const DriverApi& driver, std::shared_ptr<State> state) {
  pthread_setname_np(pthread_self(), "lamplight-probe");
  const Inside inside;
  const RelaxedCapture relaxed(driver);
  std::unique_lock lock(state->mutex);
  for (;;) {
    state->changed.wait(lock, [&] { return state->stop || state->posted > state->finished; });
    if (state->stop) return;
    const std::function<void()> task = std::move(state->task);
    Device* const device = state->device;
    lock.unlock();
    // A context that is gone takes the task's handles along. The reader of the result sees it
    // missing, as after running out of memory.
    if (device->MakeCurrent(driver)) {
      try {
        task();
      } catch (...) {
      }
    }
    lock.lock();
    ++state->finished;
    state->changed.notify_all();
  }
}

bool Probe::Run(Device& device, std::function<void()> task, Duration limit) {
  std::unique_lock lock(state_->mutex);
  if (state_->posted > state_->finished) return false;
  state_->task = std::move(task);
  state_->device = &device;
  const uint64_t mine = ++state_->posted;
  state_->changed.notify_all();
  return state_->changed.wait_for(lock, limit, [&] { return state_->finished >= mine; });
}

// Whether the driver knows of nothing there: the host has freed it. Less is asked than for inputs,
// as flag words may lie in whatever memory kernels can reach.
bool Probe::Gone(uint64_t address) const noexcept {
  unsigned type = 0;
  bool mapped = true;
  if (driver_.PointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) !=
      CUDA_SUCCESS) {
    return true;
  }
  const bool told =
      driver_.PointerGetAttribute(&mapped, CU_POINTER_ATTRIBUTE_MAPPED, address) == CUDA_SUCCESS;
  return told && !mapped;
}

bool Probe::Mapped(uint64_t address, size_t bytes) const noexcept {
  for (const uint64_t end : {address, address + bytes - 1}) {
    unsigned type = 0;
    bool mapped = false;
    if (driver_.PointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, end) != CUDA_SUCCESS ||
        type != CU_MEMORYTYPE_DEVICE ||
        driver_.PointerGetAttribute(&mapped, CU_POINTER_ATTRIBUTE_MAPPED, end) != CUDA_SUCCESS ||
        !mapped) {
      return false;
    }
  }
  return true;
}

trace::SideChannel Probe::Read(Device& device, uint64_t address, void* out, size_t bytes,
                               Duration limit, CUresult* error) noexcept {
  const Clock::time_point deadline = Clock::now() + limit;
  auto* target = static_cast<std::byte*>(out);
  if (bytes > 0 && (Gone(address) || Gone(address + bytes - 1))) {
    *error = CUDA_ERROR_INVALID_VALUE;  // as the copy would say, if it did nothing worse
    return trace::SideChannel::kError;
  }
  while (bytes > 0) {
    const size_t part = std::min(bytes, Device::kStagingBytes);
    *error = driver_.MemcpyDtoHAsync(device.staging(), address, part, device.stream());
    if (*error != CUDA_SUCCESS) return trace::SideChannel::kError;
    while ((*error = driver_.StreamQuery(device.stream())) == CUDA_ERROR_NOT_READY) {
      if (Clock::now() > deadline) return trace::SideChannel::kTimedOut;
      PauseOneMs();
    }
    if (*error != CUDA_SUCCESS) return trace::SideChannel::kError;
    std::memcpy(target, device.staging(), part);
    target += part;
    address += part;
    bytes -= part;
  }
  return trace::SideChannel::kOk;
}

}  // namespace lamplight::shim
