// Start, failure and end of the shim in a process.
#include "shim/session.h"

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "shim/contexts.h"
#include "shim/cupti/source.h"
#include "shim/cupti/static_runtime.h"
#include "shim/driver/clients.h"
#include "shim/driver/fronts.h"
#include "shim/log.h"
#include "shim/process_record.h"
#include "shim/recorder/origin.h"
#include "shim/resolver.h"
#include "shim/snapshot_drain.h"
#include "shim/stacks/stacks.h"
#include "shim/watchdog.h"

namespace lamplight::shim {

std::atomic<Session*> Session::running_{nullptr};
std::atomic<Session*> Session::standing_{nullptr};

namespace {

enum class State : int { kIdle, kStarting, kRunning, kOff };
std::atomic<State> state{State::kIdle};

constexpr int kOldestRuntime = 12000;

// For a thread that is starting the session. Not without end: that one may want the dynamic
// linker's lock, which this one has where a library calls CUDA while it is loaded. A call that has
// waited so long goes unrecorded.
constexpr std::chrono::seconds kLongestWait{5};

RealFunction<decltype(&cudaFree)> real_free{"cudaFree"};
RealFunction<decltype(&cudaRuntimeGetVersion)> real_runtime_version{"cudaRuntimeGetVersion"};

bool RuntimeIsKnown(std::string* why) {
  auto* get_version = real_runtime_version.get();
  // Linked statically, or not used.
  if (get_version == nullptr && (driver::Given() || cupti::InForce())) return true;
  int version = 0;
  if (get_version == nullptr || get_version(&version) != cudaSuccess) {
    *why = "no CUDA runtime answers";
    return false;
  }
  if (version >= kOldestRuntime) return true;
  *why = "CUDA runtime " + std::to_string(version / 1000) + "." +
         std::to_string(version % 1000 / 10) + " is older than 12.0";
  return false;
}

void OnRecorderError(const char* reason) { Session::Fail(reason); }

// Where neither source is to see calls of the driver. Once: a forked child begins anew, and the
// loader's lock, which looking takes, may be held in it by a thread that it does not have.
void TellOfStaticRuntime() {
  static std::atomic<bool> looked{false};
  const bool seen = cupti::Wish::FromEnvironment().kind != cupti::Wish::kOff ||
                    driver::Wish::FromEnvironment().kind != driver::Wish::kOff;
  if (seen || looked.exchange(true)) return;
  const std::string library = cupti::LibraryWithStaticRuntime();
  if (library.empty()) return;
  LogWarning(
      "{} has a CUDA runtime of its own, whose launches are not seen with LAMPLIGHT_DRIVER=0",
      library);
}

}  // namespace

Session* Session::Start() noexcept {
  // Ahead of all else: a child that is forked meanwhile must not wait for this thread.
  static constinit std::atomic<bool> registered{false};
  if (!registered.exchange(true)) pthread_atfork(nullptr, nullptr, &Session::ForkedChild);
  const auto limit = std::chrono::steady_clock::now() + kLongestWait;
  State expected = State::kIdle;
  while (!state.compare_exchange_weak(expected, State::kStarting)) {
    if (expected == State::kRunning || expected == State::kOff) return Running();
    if (std::chrono::steady_clock::now() > limit) return nullptr;
    sched_yield();
    expected = State::kIdle;
  }
  if (Config::Disabled()) {
    state = State::kOff;
    return nullptr;
  }
  // Never destroyed: hooks may run to the very end, and of one that cannot be built whole some
  // threads may run already.
  auto* session = new (std::nothrow) Session();
  if (session == nullptr || !session->TryBuild()) {
    state = State::kOff;
    return nullptr;
  }
  standing_.store(session, std::memory_order_release);
  running_.store(session, std::memory_order_release);
  driver::Define(*session->recorder_);
  expected = State::kStarting;
  if (!state.compare_exchange_strong(expected, State::kRunning)) {
    // It has failed meanwhile, with nothing of ours in the host's graphs yet.
    running_.store(nullptr, std::memory_order_release);
    standing_.store(nullptr, std::memory_order_release);
  } else if (!session->watchdog_->Start()) {
    Fail("the watchdog's thread cannot be started");
  }
  return Running();
}

bool Session::TryBuild() noexcept {
  try {
    if (Build()) return true;
  } catch (...) {
    LogError("off: out of memory or threads at the start");
  }
  if (recorder_ != nullptr) recorder_->Stop();
  return false;
}

bool Session::Build() {
  config_ = Config::FromEnvironment();
  SetLogLevel(config_.log_level);
  for (const std::string& complaint : config_.complaints) LogWarning("{}", complaint);
  cupti::Start(false);
  TellOfStaticRuntime();
  std::string error;
  if (!RuntimeIsKnown(&error)) {
    LogError("off: {}", error);
    return false;
  }
  driver_ = DriverApi::Load(&error);
  if (driver_ == nullptr) {
    LogError("off: libcuda.so.1 lacks {}; CUDA 12.4 or newer is needed", error);
    return false;
  }
  RecorderOptions options;
  options.directory = config_.directory;
  options.ring_bytes = config_.ring_bytes;
  options.on_error = OnRecorderError;
  recorder_ = Recorder::Open(options, &error);
  if (recorder_ == nullptr || !recorder_->Start(&error)) {
    LogError("off: {}", error);
    return false;
  }
  stacks::Prepare(reinterpret_cast<const void*>(&Session::Fail));
  std::vector<std::string> abi_errors;
  abi_ = lamport::AbiTable::Load(config_.abi_paths, &abi_errors);
  for (const std::string& complaint : abi_errors) LogWarning("{}", complaint);
  streams_ = std::make_unique<Streams>(*driver_, *recorder_);
  functions_ = std::make_unique<Functions>(*driver_, *abi_, *recorder_);
  workspaces_ = std::make_unique<Workspaces>(*recorder_);
  troubles_ = std::make_unique<Troubles>(*workspaces_);
  recorder_->AddSource(troubles_.get());
  graphs_ = std::make_unique<Graphs>(*recorder_);
  sites_ = std::make_unique<Sites>(*recorder_);
  if (config_.swap) {
    const std::chrono::nanoseconds timeout = config_.timeout;
    swap_ = Swap::Create(*driver_, *functions_, *workspaces_, *recorder_, *troubles_,
                         static_cast<uint64_t>(timeout.count()));
  }
  watchdog_ = new Watchdog(*this);
  DefineProcess(config_, *recorder_);
  cupti::Define(*recorder_);
  LogInfo("recording to {}", recorder_->path());
  return true;
}

void Session::Fail(const char* reason) noexcept {
  if (state.exchange(State::kOff) == State::kOff) return;
  Session* session = running_.exchange(nullptr, std::memory_order_acq_rel);
  if (session != nullptr) session->recorder_->Close();
  LogError("off: {}; the server goes on without it{}", reason,
           session != nullptr && session->swap_ != nullptr ? ", on the kernels swapped in" : "");
}

void Session::Finish() noexcept {
  standing_.store(nullptr, std::memory_order_release);
  Session* session = running_.exchange(nullptr, std::memory_order_acq_rel);
  if (session == nullptr) return;
  state = State::kOff;
  session->watchdog_->Stop();
  session->recorder_->Stop();
}

// The child shares nothing with its parent's trace; it starts its own if it comes to use CUDA.
void Session::ForkedChild() noexcept {
  RenewLog();
  running_.store(nullptr, std::memory_order_relaxed);
  standing_.store(nullptr, std::memory_order_relaxed);
  State expected = State::kRunning;
  state.compare_exchange_strong(expected, State::kIdle);
  // Forked in the middle of a start, by another thread: what that one holds is held for ever.
  expected = State::kStarting;
  state.compare_exchange_strong(expected, State::kOff);
}

// Registered behind the driver's own exit handlers, so it runs while the driver still answers.
void Session::AtExit() noexcept {
  Session* session = Running();
  if (session == nullptr) return;
  session->watchdog_->LookOnceMore();
  // The last round of the drain comes when the driver has taken its memory back.
  session->troubles_->Drain(*session->recorder_);
}

Device* Session::CurrentDevice() {
  thread_local struct {
    const Session* session;  // a forked child has another
    KnownContext context;
  } last{nullptr, {0, nullptr}};
  CUcontext context = nullptr;
  if (driver_->CtxGetCurrent(&context) != CUDA_SUCCESS) return nullptr;
  if (context == nullptr && Through::Flags() == 0) {
    // The host's first call on this thread: the runtime has not made its context current yet. Who
    // calls the driver itself may not mean to have one.
    if (auto* free = real_free.get()) free(nullptr);
    driver_->CtxGetCurrent(&context);
  }
  if (context == nullptr) return nullptr;
  const ContextId id = IdOf(context);
  if (last.session == this && id == last.context.id) return last.context.device;
  std::optional<KnownContext> known = FindContext(id);
  if (!known) {
    std::lock_guard lock(opening_mutex_);
    known = FindContext(id);
    if (!known) {
      known = LearnContext(context, id);
      if (known) LearnOtherDevices();
    }
  }
  if (!known) return nullptr;
  last = {this, *known};
  return known->device;
}

// A handle may come to mean another context.
Session::ContextId Session::IdOf(CUcontext context) const noexcept {
  ContextId id = 0;
  const bool told = driver_->CtxGetId(context, &id) == CUDA_SUCCESS && id != 0;
  return told ? id : reinterpret_cast<ContextId>(context);
}

std::optional<Session::KnownContext> Session::FindContext(ContextId id) const {
  std::lock_guard lock(devices_mutex_);
  const auto found = std::ranges::find(contexts_, id, &KnownContext::id);
  if (found == contexts_.end()) return std::nullopt;
  return *found;
}

void Session::Know(const KnownContext& context) {
  std::lock_guard lock(devices_mutex_);
  contexts_.push_back(context);
}

// The current context, for the first time. Nothing: it cannot be told yet.
std::optional<Session::KnownContext> Session::LearnContext(CUcontext context, ContextId id) {
  const RelaxedCapture relaxed(*driver_);
  const CUcontext memory = MemoryContext(*driver_);
  if (memory == nullptr) return std::nullopt;
  KnownContext learnt{id, nullptr};
  if (memory == context) {
    learnt.device = OpenDevice(context);
  } else {
    const WithContext with(*driver_, memory);
    if (!with.current()) return std::nullopt;
    const ContextId owner = IdOf(memory);
    const std::optional<KnownContext> known = FindContext(owner);
    learnt.device = known ? known->device : OpenDevice(memory);
    if (!known) Know({owner, learnt.device});
  }
  Know(learnt);
  return learnt;
}

// In a process with several GPUs one half of the first collective may spin while the other half is
// being launched: too late to load anything on that one's device.
void Session::LearnOtherDevices() {
  const RelaxedCapture relaxed(*driver_);
  int count = 0;
  if (driver_->DeviceGetCount(&count) != CUDA_SUCCESS) return;
  for (CUdevice device = 0; device < count; ++device) {
    unsigned flags = 0;
    int active = 0;
    const bool told = driver_->DevicePrimaryCtxGetState(device, &flags, &active) == CUDA_SUCCESS;
    if (told && active != 0) LearnPrimaryContext(device);
  }
}

void Session::LearnPrimaryContext(CUdevice device) {
  CUcontext context = nullptr;
  if (driver_->DevicePrimaryCtxRetain(&context, device) != CUDA_SUCCESS) return;
  const ContextId id = IdOf(context);
  if (!FindContext(id)) {
    const WithContext with(*driver_, context);
    if (with.current()) LearnContext(context, id);
  }
  driver_->DevicePrimaryCtxRelease(device);
}

Device* Session::OpenDevice(CUcontext context) {
  static const int registered = std::atexit(&Session::AtExit);
  static_cast<void>(registered);
  std::string error;
  std::unique_ptr<Device> device = Device::Open(*driver_, &error);
  if (device == nullptr) {
    LogWarning("no snapshots{} on this device: {}", swap_ == nullptr ? "" : ", and no swapping",
               error);
    return nullptr;
  }
  DefineDevice(*driver_, *device, *recorder_);
  // Both live as long as the process.
  recorder_->AddSource(new SnapshotDrain(device->ring(), *graphs_, *workspaces_));
  if (swap_ != nullptr) swap_->Prepare(context);
  std::lock_guard lock(devices_mutex_);
  devices_.push_back(std::move(device));
  return devices_.back().get();
}

std::vector<Device*> Session::devices() const {
  std::lock_guard lock(devices_mutex_);
  std::vector<Device*> devices;
  for (const std::unique_ptr<Device>& device : devices_) devices.push_back(device.get());
  return devices;
}

Device* Session::DeviceByOrdinal(uint32_t ordinal) const {
  for (Device* device : devices()) {
    if (device->ordinal() == ordinal && !device->gone()) return device;
  }
  return nullptr;
}

// Both ask the driver, which may hold this thread: the watchdog must not wait for it at the lock.
void Session::StopSnapshots(Exec& exec) noexcept {
  {
    const std::lock_guard lock(exec.mutex);
    for (PlannedSnapshot& snapshot : exec.snapshots) snapshot.stopped = true;
  }
  for (const PlannedSnapshot& snapshot : exec.snapshots) {
    exec.device->SetCounterEnabled(*driver_, snapshot.counter, false);
  }
}

void Session::PauseSnapshots(Exec& exec) noexcept {
  for (PlannedSnapshot& snapshot : exec.snapshots) {
    {
      const std::lock_guard lock(exec.mutex);
      const bool idle = std::ranges::any_of(
          snapshot.workspaces, [&](const Workspace* workspace) { return !exec.Calls(*workspace); });
      if (snapshot.stopped || snapshot.paused == idle) continue;
      snapshot.paused = idle;
    }
    exec.device->SetCounterEnabled(*driver_, snapshot.counter, !snapshot.paused);
  }
}

}  // namespace lamplight::shim
