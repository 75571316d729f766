// Notices replays that were launched and do not complete, and has the evidence read.
//
// One thread of its own, which never calls the driver itself: all such calls go through the probe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "shim/eager_watch.h"
#include "shim/evidence.h"
#include "shim/probe.h"
#include "shim/session.h"

namespace lamplight::shim {

class Watchdog {
 public:
  explicit Watchdog(Session& session);
  ~Watchdog() = delete;  // lives as long as the process

  // False: there is no thread to be had.
  bool Start() noexcept;
  // Has the thread ask once more which replays are complete, and waits at most a moment for that.
  // For the end of the process, while the driver still answers.
  void LookOnceMore() noexcept;
  // Ends the thread, waiting at most a moment.
  void Stop() noexcept;

 private:
  struct StreamProgress {
    uint64_t time_ns = 0;
  };
  struct Seen {
    uint64_t completed = 0;
    uint64_t snapshot_runs = 0;
    uint64_t reported = 0;  // replay whose hang was reported, 0: none
    uint32_t hang_id = 0;
  };
  void Launch();
  void Loop();
  void Tick();
  void NoteSleep(uint64_t now);
  void QueryAll();
  void Follow(Exec& exec, uint64_t now);
  void QueryDone(Exec& exec);
  static uint64_t OldestIncomplete(const Exec& exec, uint64_t launched);
  bool Overdue(const Exec& exec, uint64_t replay, uint64_t now, uint64_t* launched_ns) const;
  void CheckEager(Workspace& workspace, uint64_t now);
  void ReportReplay(Exec& exec, uint64_t replay, uint64_t launched_ns, uint64_t now);
  void ReportEager(Workspace& workspace, const Workspace::Eager& eager, uint64_t now);
  void Report(trace::Hang hang, const std::vector<Suspect>& suspects, Device* device,
              const std::string& what);
  void EndHang(uint32_t hang_id);
  void ReapRetired(uint64_t now);

  Session& session_;
  Probe probe_;
  EvidenceReader evidence_;
  const uint64_t timeout_ns_;
  const uint64_t kept_ns_;  // a destroyed exec, for so long
  EagerWatch eager_;
  uint64_t tick_ns_;
  uint64_t looked_ns_ = 0;       // when the last tick ended
  uint64_t awake_since_ns_ = 0;  // since then this thread has run as often as it should
  uint32_t next_hang_ = 1;
  std::unordered_map<const Exec*, Seen> seen_;
  std::unordered_map<const Workspace*, uint32_t> eager_hangs_;  // the newest, by hang id
  std::unordered_map<uint32_t, StreamProgress> progress_;       // by stream id

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  bool look_ = false;  // LookOnceMore waits for an answer
  std::atomic<bool> ended_{true};
};

}  // namespace lamplight::shim
