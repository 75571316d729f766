// The watch over replays and eager calls. Bookkeeping is by completion of the event node; tail
// snapshots show progress inside a replay without any driver call.
#include "shim/watchdog.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "shim/block_signals.h"
#include "shim/log.h"
#include "shim/recorder/thread_id.h"
#include "shim/suspects.h"
#include "shim/verdict.h"

namespace lamplight::shim {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t kMs = 1'000'000;
constexpr milliseconds kQueryLimit{1000};

// A destroyed exec is kept so long that no hook, drain or query can still be at it: for so many
// timeouts, as nobody waits longer for anything, and at most a minute.
constexpr uint64_t kRetiredNs = 60'000 * kMs;
constexpr uint64_t kRetiredTimeouts = 6;

// So much later than due, the thread was not let run.
constexpr uint64_t kSleepNs = 1'000 * kMs;

// A first replay may upload its graph, load code and wait for ranks that are still compiling.
constexpr double kFirstReplayFactor = 1.5;
constexpr double kCaptureFactor = 2.0;

std::string Seconds(uint64_t ns) {
  const uint64_t tenths = ns / (100 * kMs);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

}  // namespace

Watchdog::Watchdog(Session& session)
    : session_(session),
      probe_(session.driver()),
      evidence_(session, probe_),
      timeout_ns_(static_cast<uint64_t>(session.config().timeout.count()) * kMs),
      kept_ns_(std::min(kRetiredNs, kRetiredTimeouts * timeout_ns_)),
      eager_(session, probe_, evidence_, timeout_ns_) {
  tick_ns_ = std::clamp<uint64_t>(timeout_ns_ / 20, 10 * kMs, 250 * kMs);
}

bool Watchdog::Start() noexcept {
  const BlockSignals block;
  ended_ = false;
  try {
    Launch();
  } catch (...) {  // no more threads
    ended_ = true;
  }
  return !ended_;
}

void Watchdog::Launch() {
  std::thread([this] {
    pthread_setname_np(pthread_self(), "lamplight-watch");
    MarkShimThread();
    Loop();
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }).detach();
}

void Watchdog::LookOnceMore() noexcept {
  constexpr milliseconds kLimit{300};
  if (session_.graphs().ExecsInFlight().empty()) return;
  std::unique_lock lock(mutex_);
  if (ended_ || stop_) return;
  look_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, kLimit, [this] { return !look_; });
}

void Watchdog::Stop() noexcept {
  constexpr milliseconds kLimit{200};
  std::unique_lock lock(mutex_);
  stop_ = true;
  changed_.notify_all();
  changed_.wait_for(lock, kLimit, [this] { return ended_.load(); });
}

void Watchdog::Loop() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    changed_.wait_for(lock, std::chrono::nanoseconds(tick_ns_), [this] { return stop_ || look_; });
    if (stop_) return;
    const bool last = look_;
    lock.unlock();
    try {
      last ? QueryAll() : Tick();
    } catch (...) {
      Session::Fail("an internal error in the watchdog");
      return;
    }
    lock.lock();
    if (last) {
      look_ = false;
      changed_.notify_all();
    }
    if (Session::Running() != &session_) return;
  }
}

void Watchdog::QueryAll() {
  for (Exec* exec : session_.graphs().ExecsInFlight()) QueryDone(*exec);
}

void Watchdog::Tick() {
  const uint64_t now = Recorder::NowNs();
  NoteSleep(now);
  QueryAll();
  for (Exec* exec : session_.graphs().LiveExecs()) Follow(*exec, now);
  session_.workspaces().ForEach([&](Workspace& workspace) { CheckEager(workspace, now); });
  ReapRetired(now);
  looked_ns_ = Recorder::NowNs();
}

// A process that was stopped (a frozen container, a debugger) has waited for nothing meanwhile, and
// its other threads may stand anywhere still.
void Watchdog::NoteSleep(uint64_t now) {
  if (looked_ns_ != 0 && now <= looked_ns_ + tick_ns_ + kSleepNs) return;
  awake_since_ns_ = now;
  eager_.AwakeSince(now);
}

void Watchdog::ReapRetired(uint64_t now) {
  if (now < awake_since_ns_ + kept_ns_) return;
  const DriverApi& driver = session_.driver();
  for (const std::unique_ptr<Exec>& exec : session_.graphs().TakeRetired(now - kept_ns_)) {
    seen_.erase(exec.get());
    if (exec->borrowed.load(std::memory_order_relaxed)) continue;
    const HeldNumbers held = exec->Over() ? exec->held : HeldNumbers{};
    if (exec->done == nullptr && held.empty()) continue;
    const auto reap = [&driver, device = exec->device, event = exec->done, held] {
      if (event != nullptr) driver.EventDestroy(event);
      device->TakeBack(driver, held);
    };
    probe_.Run(*exec->device, reap, kQueryLimit);
  }
}

void Watchdog::Follow(Exec& exec, uint64_t now) {
  Seen& seen = seen_[&exec];
  const uint64_t launched = exec.launched.load(std::memory_order_acquire);
  const uint64_t completed = exec.completed.load(std::memory_order_relaxed);
  const uint64_t runs = exec.snapshot_runs.load(std::memory_order_relaxed);
  if (completed != seen.completed || runs != seen.snapshot_runs) {
    progress_[exec.stream_id.load(std::memory_order_relaxed)].time_ns = now;
    seen.completed = completed;
    seen.snapshot_runs = runs;
    if (seen.reported != 0 && completed >= seen.reported) {
      EndHang(seen.hang_id);
      seen.reported = 0;
    }
  }
  // Without an event node nothing but its snapshots tells that a replay is over.
  if (!exec.CompletionIsWatched() && exec.snapshots.empty()) return;
  const uint64_t oldest = OldestIncomplete(exec, launched);
  uint64_t launched_ns = 0;
  if (launched < oldest || seen.reported >= oldest) return;
  if (!Overdue(exec, oldest, now, &launched_ns)) return;
  seen.reported = oldest;
  seen.hang_id = next_hang_;
  ReportReplay(exec, oldest, launched_ns, now);
}

// The event tells of the last launch only. Where replays are queued, a tail snapshot tells that the
// one before it is complete, and that its own replay is past its last collective; the next one, if
// it was launched, is then the one to watch.
uint64_t Watchdog::OldestIncomplete(const Exec& exec, uint64_t launched) {
  const uint64_t runs = exec.snapshot_runs.load(std::memory_order_relaxed);
  const uint64_t by_snapshots = runs == 0 || launched > runs ? runs : runs - 1;
  return std::max(exec.completed.load(std::memory_order_relaxed), by_snapshots) + 1;
}

void Watchdog::QueryDone(Exec& exec) {
  if (!exec.CompletionIsWatched()) {
    exec.completed = exec.snapshot_runs.load(std::memory_order_relaxed);
    return;
  }
  if (exec.device->gone()) {  // the event is, too
    exec.completed = exec.launched.load(std::memory_order_acquire);
    return;
  }
  // Only launches whose call has returned have certainly armed the event.
  const uint64_t recorded = exec.Recorded();
  if (recorded <= exec.completed.load(std::memory_order_relaxed)) return;
  auto result = std::make_shared<CUresult>(CUDA_ERROR_NOT_READY);
  const DriverApi& driver = session_.driver();
  const CUevent event = exec.done;
  if (!probe_.Run(
          *exec.device, [=, &driver] { *result = driver.EventQuery(event); }, kQueryLimit)) {
    return;
  }
  if (*result != CUDA_SUCCESS) return;
  exec.completed = recorded;
  trace::ReplayDone record{};
  record.exec_id = exec.id;
  record.replay = recorded;
  session_.recorder().Emit(trace::RecordType::kReplayDone, record);
}

bool Watchdog::Overdue(const Exec& exec, uint64_t replay, uint64_t now,
                       uint64_t* launched_ns) const {
  *launched_ns = exec.LaunchTime(replay);
  uint64_t since = *launched_ns == 0 ? 0 : std::max(*launched_ns, awake_since_ns_);
  const auto progress = progress_.find(exec.stream_id.load(std::memory_order_relaxed));
  if (progress != progress_.end()) since = std::max(since, progress->second.time_ns);
  double limit = static_cast<double>(timeout_ns_);
  if (session_.streams().AnyCapture()) {
    limit *= kCaptureFactor;
  } else if (replay == 1 && !exec.uploaded.load(std::memory_order_relaxed)) {
    limit *= kFirstReplayFactor;
  }
  return since != 0 && now > since && static_cast<double>(now - since) > limit;
}

void Watchdog::EndHang(uint32_t hang_id) {
  trace::HangEnd record{};
  record.hang_id = hang_id;
  session_.recorder().Define(trace::RecordType::kHangEnd, record);
  LogWarning("what hung in hang {} has completed after all", hang_id);
}

void Watchdog::ReportReplay(Exec& exec, uint64_t replay, uint64_t launched_ns, uint64_t now) {
  const std::vector<Suspect> suspects = SuspectsOf(exec, session_.workspaces());
  trace::Hang hang{};
  hang.exec_id = exec.id;
  hang.stream_id = exec.stream_id;
  hang.workspace_id = suspects.empty() ? 0 : suspects.front().workspace->id;
  hang.replay = replay;
  hang.replays_launched = exec.launched;
  hang.replays_completed = replay - 1;
  hang.launched_ns = launched_ns;
  hang.detected_ns = now;
  hang.op_before = exec.OpBefore(replay);
  hang.launch_returned = exec.returned.load(std::memory_order_acquire) >= replay;
  const std::string what = "replay " + std::to_string(replay) + " of graph " +
                           std::to_string(exec.graph_id) + " has not completed for " +
                           Seconds(now - (launched_ns == 0 ? now : launched_ns));
  Report(hang, suspects, exec.device, what);
}

void Watchdog::CheckEager(Workspace& workspace, uint64_t now) {
  switch (eager_.Look(workspace, now)) {
    case EagerWatch::News::kHangs:
      eager_hangs_[&workspace] = next_hang_;
      return ReportEager(workspace, eager_.HungCall(workspace), now);
    case EagerWatch::News::kOver:
      return EndHang(eager_hangs_[&workspace]);
    case EagerWatch::News::kNone:
      return;
  }
}

void Watchdog::ReportEager(Workspace& workspace, const Workspace::Eager& eager, uint64_t now) {
  const Function* function = session_.functions().ById(eager.call.call.kernel_id);
  if (function == nullptr) return;
  trace::Hang hang{};
  hang.stream_id = eager.stream_id;
  hang.workspace_id = workspace.id;
  hang.launched_ns = eager.time_ns;
  hang.detected_ns = now;
  hang.op_before = eager.op_before;
  hang.launch_returned = 1;
  const std::string what =
      "an eager all-reduce has not completed for " + Seconds(now - eager.time_ns);
  Report(hang, {{&workspace, function, eager.call.call}},
         session_.DeviceByOrdinal(workspace.device), what);
}

void Watchdog::Report(trace::Hang hang, const std::vector<Suspect>& suspects, Device* device,
                      const std::string& what) {
  hang.hang_id = next_hang_++;
  hang.timeout_ns = timeout_ns_;
  const std::vector<WorkspaceEvidence> found = evidence_.Read(suspects, device);
  hang.side_channel =
      static_cast<uint16_t>(found.empty() ? trace::SideChannel::kNotTried : found.front().status);
  hang.side_error = static_cast<uint16_t>(found.empty() ? 0 : found.front().error);
  session_.recorder().Define(trace::RecordType::kHang, hang);
  evidence_.WriteWorkspaces(hang.hang_id, found);
  evidence_.WriteMarks(hang.hang_id, device);
  const std::string verdict = Verdict(found, hang.launch_returned != 0);
  evidence_.WriteText(hang.hang_id, trace::TextKind::kVerdict, what + ". " + verdict);
  LogWarning("{}. {}. Next: lamplight report {}", what, verdict, session_.config().directory);
  evidence_.WriteHostThreads(hang.hang_id);
  evidence_.WritePythonStacks(hang.hang_id);
}

}  // namespace lamplight::shim
