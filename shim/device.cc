// Set-up of the shim's own objects on a context, through the driver alone.
#include "shim/device.h"

#include <time.h>

#include <algorithm>
#include <cstring>

#include "shim/pinned_memory.h"

// The kernel's fat binary, embedded by the assembler (LAMPLIGHT_SNAPSHOT_FATBIN: set by CMake).
asm(".section .rodata\n"
    ".balign 16\n"
    ".local lamplight_snapshot_image\n"
    "lamplight_snapshot_image:\n"
    ".incbin \"" LAMPLIGHT_SNAPSHOT_FATBIN
    "\"\n"
    ".byte 0\n"
    ".previous\n");
extern "C" __attribute__((visibility("hidden"))) const unsigned char lamplight_snapshot_image[];

namespace lamplight::shim {
namespace {

constexpr uint32_t kRingSlotBits = 13;
constexpr uint32_t kRingSlots = 1u << kRingSlotBits;
constexpr int kWarmUpMs = 5000;

bool Ok(const DriverApi& driver, CUresult result, const char* call, std::string* error) {
  if (result == CUDA_SUCCESS) return true;
  const char* name = nullptr;
  driver.GetErrorName(result, &name);
  *error = std::string(call) + ": " + (name == nullptr ? "unknown error" : name);
  return false;
}

void SleepMs(int milliseconds) {
  const timespec pause{milliseconds / 1000, (milliseconds % 1000) * 1000000L};
  nanosleep(&pause, nullptr);
}

}  // namespace

std::unique_ptr<Device> Device::Open(const DriverApi& driver, std::string* error) {
  const RelaxedCapture relaxed(driver);
  std::unique_ptr<Device> device(new Device());
  CUdevice ordinal = 0;
  CUmodule module = nullptr;
  const bool loaded =
      Ok(driver, driver.CtxGetCurrent(&device->context_), "cuCtxGetCurrent", error) &&
      Ok(driver, driver.CtxGetId(device->context_, &device->context_id_), "cuCtxGetId", error) &&
      Ok(driver, driver.CtxGetDevice(&ordinal), "cuCtxGetDevice", error) &&
      Ok(driver, driver.ModuleLoadData(&module, lamplight_snapshot_image), "cuModuleLoadData",
         error) &&
      Ok(driver, driver.ModuleGetFunction(&device->snapshot_, module, kSnapshotKernel),
         "cuModuleGetFunction", error);
  device->ordinal_ = static_cast<uint32_t>(ordinal);
  if (!loaded || !device->Allocate(driver, error) || !device->WarmUp(driver, error)) return nullptr;
  return device;
}

bool Device::Allocate(const DriverApi& driver, std::string* error) {
  const auto slots = AllocatePinned(driver, kRingSlots * sizeof(SnapshotSlot));
  const auto staging = AllocatePinned(driver, kStagingBytes);
  if (!slots || !staging) {
    *error = "no host memory that the device sees";
    return false;
  }
  const bool allocated =
      Ok(driver, driver.StreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate", error) &&
      Ok(driver, driver.MemAlloc(&counters_, kCounters * sizeof(SnapshotCounter)), "cuMemAlloc",
         error) &&
      Ok(driver, driver.MemAlloc(&marks_, kMarks * sizeof(NodeMark)), "cuMemAlloc", error);
  if (!allocated) return false;
  slots_address_ = slots->device;
  staging_ = staging->host;
  ring_ = std::make_unique<SnapshotRing>(static_cast<SnapshotSlot*>(slots->host), kRingSlots);
  return true;
}

bool Device::WarmUp(const DriverApi& driver, std::string* error) {
  SnapshotArgs args{};
  void* parameters[] = {&args};
  const bool queued =
      Ok(driver, driver.MemsetD8Async(counters_, 0, kCounters * sizeof(SnapshotCounter), stream_),
         "cuMemsetD8Async", error) &&
      Ok(driver, driver.MemsetD8Async(marks_, 0, kMarks * sizeof(NodeMark), stream_),
         "cuMemsetD8Async", error) &&
      Ok(driver,
         driver.LaunchKernel(snapshot_, 1, 1, 1, kSnapshotThreads, 1, 1, 0, stream_, parameters,
                             nullptr),
         "cuLaunchKernel", error) &&
      // The first copy sets up the copy engine's channel, which must not wait for a hang either.
      Ok(driver, driver.MemcpyDtoHAsync(staging_, counters_, sizeof(uint64_t), stream_),
         "cuMemcpyDtoHAsync", error);
  if (!queued) return false;
  const CUresult state = Settle(driver, kWarmUpMs);
  if (state != CUDA_ERROR_NOT_READY) return Ok(driver, state, "cuStreamQuery", error);
  *error = "the device did not run the shim's first kernel within 5 s";
  return false;
}

CUresult Device::Settle(const DriverApi& driver, int limit_ms) const noexcept {
  CUresult state = CUDA_ERROR_NOT_READY;
  for (int waited = 0; waited < limit_ms; ++waited) {
    state = driver.StreamQuery(stream_);
    if (state != CUDA_ERROR_NOT_READY) break;
    SleepMs(1);
  }
  return state;
}

bool Device::MakeCurrent(const DriverApi& driver) noexcept {
  if (gone()) return false;
  unsigned long long id = context_id_;
  CUresult result = driver.CtxSetCurrent(context_);
  if (result == CUDA_SUCCESS) result = driver.CtxGetId(context_, &id);
  const bool destroyed =
      result == CUDA_ERROR_INVALID_CONTEXT || result == CUDA_ERROR_CONTEXT_IS_DESTROYED;
  if (destroyed || id != context_id_) gone_.store(true, std::memory_order_relaxed);
  return result == CUDA_SUCCESS && !gone();
}

void Device::TakeBackUnused(const HeldNumbers& held) noexcept {
  free_counters_.GiveBack(held.counters);
  free_marks_.GiveBack(held.marks);
}

// By copies, as they go by an engine that no kernel holds up: what waits in the stream would hold
// up the reading of evidence. What an exec got at once mostly lies side by side.
bool Device::Zero(const DriverApi& driver, CUdeviceptr array, size_t element_bytes,
                  std::vector<uint32_t>* numbers) const {
  std::ranges::sort(*numbers);
  const size_t most = kStagingBytes / element_bytes;
  std::memset(staging_, 0, std::min(most, numbers->size()) * element_bytes);
  for (size_t begin = 0, end = 0; begin < numbers->size(); begin = end) {
    const uint32_t first = (*numbers)[begin];
    const auto beside = [&] { return (*numbers)[end] == first + (end - begin); };
    for (end = begin; end < numbers->size() && end - begin < most && beside();) ++end;
    if (driver.MemcpyHtoDAsync(array + first * element_bytes, staging_,
                               (end - begin) * element_bytes, stream_) != CUDA_SUCCESS) {
      return false;
    }
  }
  return true;
}

void Device::TakeBack(const DriverApi& driver, HeldNumbers held) {
  constexpr int kLimitMs = 500;
  if (held.empty()) return;
  if (!Zero(driver, counters_, sizeof(SnapshotCounter), &held.counters) ||
      !Zero(driver, marks_, sizeof(NodeMark), &held.marks)) {
    return;
  }
  if (Settle(driver, kLimitMs) == CUDA_SUCCESS) TakeBackUnused(held);
}

void Device::SetCounterEnabled(const DriverApi& driver, uint64_t counter, bool enabled) noexcept {
  const RelaxedCapture relaxed(driver);
  const uint64_t address = counter + offsetof(SnapshotCounter, disabled);
  driver.MemsetD8Async(address, enabled ? 0 : 1, sizeof(uint64_t), stream_);
  Settle(driver, 100);
}

SnapshotArgs Device::BaseArgs() const noexcept {
  SnapshotArgs args{};
  args.ring = slots_address_;
  args.tickets = counters_;
  args.mask = kRingSlots - 1;
  return args;
}

kernels::Journal Device::RingJournal(uint32_t run_counter) const noexcept {
  kernels::Journal journal{};
  journal.ring = slots_address_;
  journal.tickets_or_mark = counters_;
  journal.counter_and_bits = kernels::Journal::Pack(run_counter, kRingSlotBits);
  return journal;
}

kernels::Journal Device::MarkJournal(uint32_t mark) const noexcept {
  kernels::Journal journal{};
  journal.tickets_or_mark = MarkAddress(mark);
  return journal;
}

}  // namespace lamplight::shim
