// Everything that the shim holds in one process, from its first use of CUDA on.
//
// Current() is the only door: null while the process has not used CUDA, after an internal failure,
// in a forked child that has not, and when LAMPLIGHT_DISABLE is set. The object is never destroyed.
// Standing() outlasts a failure: the host's execs hold our nodes, and its graphs our kernels.
#pragma once

#include <cuda.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "shim/config.h"
#include "shim/device.h"
#include "shim/driver_api.h"
#include "shim/events.h"
#include "shim/functions.h"
#include "shim/graphs.h"
#include "shim/lamport/recognition.h"
#include "shim/open_captures.h"
#include "shim/recorder/recorder.h"
#include "shim/sites.h"
#include "shim/streams.h"
#include "shim/swap/swap.h"
#include "shim/troubles.h"
#include "shim/workspaces.h"

namespace lamplight::shim {

class Watchdog;

class Session {
 public:
  // The running session, without starting one.
  static Session* Running() noexcept { return running_.load(std::memory_order_acquire); }
  // The running session, started if this is the process's first use of CUDA.
  static Session* Current() noexcept {
    Session* session = Running();
    return session != nullptr ? session : Start();
  }
  // The running session, or the one that has failed: it records nothing any more, but execs from
  // before can be updated only with the nodes that they have, and what was swapped stays so.
  static Session* Standing() noexcept { return standing_.load(std::memory_order_acquire); }
  // The session that a launch is to be looked at for: Current(), or one that only swaps.
  static Session* ForLaunches() noexcept {
    Session* session = Current();
    if (session != nullptr) [[likely]]
      return session;
    session = Standing();
    return session != nullptr && session->swap_ != nullptr ? session : nullptr;
  }
  // Ends the recording for good, with one line on stderr.
  static void Fail(const char* reason) noexcept;
  // Final drain, at process exit.
  static void Finish() noexcept;

  const DriverApi& driver() const { return *driver_; }
  const Config& config() const { return config_; }
  Recorder& recorder() { return *recorder_; }
  Functions& functions() { return *functions_; }
  Streams& streams() { return *streams_; }
  Events& events() { return events_; }
  OpenCaptures& captures() { return captures_; }
  Workspaces& workspaces() { return *workspaces_; }
  Graphs& graphs() { return *graphs_; }
  Sites& sites() { return *sites_; }
  Swap* swap() { return swap_.get(); }  // null: nothing is swapped

  // The device of the memory that the current context sees, opened at its first call: one for a
  // primary context and all green ones in it. Null where there is no context, a capture forbids to
  // ask, or the shim could not set itself up there.
  Device* CurrentDevice();
  std::vector<Device*> devices() const;
  Device* DeviceByOrdinal(uint32_t ordinal) const;
  // The exec no longer uses the workspace that its snapshot nodes read.
  void StopSnapshots(Exec& exec) noexcept;
  // Nodes were switched off or on: where no call on a workspace is left, it may go, and its
  // snapshots pause.
  void PauseSnapshots(Exec& exec) noexcept;

 private:
  Session() = default;
  ~Session() = delete;
  static Session* Start() noexcept;
  static void ForkedChild() noexcept;
  static void AtExit() noexcept;
  // False, with one line on stderr: it stays off.
  bool TryBuild() noexcept;
  bool Build();
  // A context's number, which no other ever gets.
  using ContextId = unsigned long long;
  struct KnownContext {
    ContextId id;
    Device* device;  // null: the shim cannot use this context
  };
  ContextId IdOf(CUcontext context) const noexcept;
  std::optional<KnownContext> FindContext(ContextId id) const;
  void Know(const KnownContext& context);
  // Under opening_mutex_, all of them. The devices that the process uses besides the current one.
  void LearnOtherDevices();
  void LearnPrimaryContext(CUdevice device);
  // The context is the current one.
  std::optional<KnownContext> LearnContext(CUcontext context, ContextId id);
  Device* OpenDevice(CUcontext context);

  static std::atomic<Session*> running_;
  static std::atomic<Session*> standing_;

  Config config_;
  const DriverApi* driver_ = nullptr;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<lamport::AbiTable> abi_;
  std::unique_ptr<Functions> functions_;
  std::unique_ptr<Streams> streams_;
  Events events_;
  OpenCaptures captures_;
  std::unique_ptr<Workspaces> workspaces_;
  std::unique_ptr<Graphs> graphs_;
  std::unique_ptr<Sites> sites_;
  std::unique_ptr<Troubles> troubles_;
  std::unique_ptr<Swap> swap_;
  Watchdog* watchdog_ = nullptr;
  // Held while the driver sets a context up for us, which may take for ever behind a kernel that
  // spins. Never by who looks for what is known.
  std::mutex opening_mutex_;
  mutable std::mutex devices_mutex_;  // for the two lists alone
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<KnownContext> contexts_;
};

}  // namespace lamplight::shim
