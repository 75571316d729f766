// Thread-safe: one lock per launch.
#include "tests/device_sim/graph_run.h"

#include <condition_variable>
#include <deque>

#include "tests/device_sim/device_thread.h"

namespace device_sim {
namespace {

// Shared by the threads of one launch. Invariant: while steps are ready, a thread that does not
// wait is about to take them.
class GraphRun : public std::enable_shared_from_this<GraphRun> {
 public:
  GraphRun(Device& device, std::shared_ptr<const Program> program, LaunchRecords records)
      : device_(device), program_(std::move(program)), records_(std::move(records)) {
    for (uint32_t i = 0; i < program_->steps.size(); ++i) {
      open_.push_back(program_->steps[i].in.size());
      if (open_.back() == 0) ready_.push_back(i);
    }
    unfinished_ = open_.size();
  }

  Status Run() {
    Drain();
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return unfinished_ == 0; });
    return status_;
  }

 private:
  // Where a runner stands; its own thread reads and writes it under the lock.
  struct Runner {
    bool relieved = false;  // another thread took over the rest
  };

  void Drain() {
    Runner runner;
    const std::function<void()> while_polling = [this, &runner] { Relieve(&runner); };
    uint32_t step;
    while (!runner.relieved && Take(&step)) {
      const Status status = Perform(step, while_polling);
      Finish(step, status, &runner);
    }
  }

  bool Take(uint32_t* step) {
    const std::lock_guard lock(mutex_);
    if (ready_.empty()) return false;
    *step = ready_.front();
    ready_.pop_front();
    return true;
  }

  Status Perform(uint32_t index, const std::function<void()>& while_polling) {
    const Step& step = program_->steps[index];
    if (!step.enabled) return kOk;
    return RunGuarded(device_, [&] {
      if (std::holds_alternative<EventRecordCall>(step.operation)) {
        records_.by_step[index]->Set(kOk);
        return kOk;
      }
      if (const auto* wait = std::get_if<EventWaitCall>(&step.operation)) {
        return WaitFor(*wait->event, while_polling);
      }
      if (std::holds_alternative<HostCall>(step.operation)) while_polling();
      return Execute(step.operation, while_polling);
    });
  }

  static Status WaitFor(const Event& event, const std::function<void()>& while_polling) {
    const MarkerRef marker = event.marker();
    if (marker == nullptr || marker->done()) return kOk;
    while_polling();
    marker->Wait();
    return kOk;
  }

  // The step is about to wait: someone else must go on with what is ready.
  void Relieve(Runner* runner) {
    const std::lock_guard lock(mutex_);
    if (runner->relieved || ready_.empty()) return;
    runner->relieved = true;
    StartDeviceThread("sim-graph", [self = shared_from_this()] { self->Drain(); });
  }

  void Finish(uint32_t index, Status status, Runner* runner) {
    const std::lock_guard lock(mutex_);
    if (status_ == kOk) status_ = status;
    for (const uint32_t next : program_->steps[index].dependents) {
      if (--open_[next] == 0) ready_.push_back(next);
    }
    if (--unfinished_ == 0) finished_.notify_all();
    // The thread that took over may have ended meanwhile: this one then goes on.
    if (runner->relieved && !ready_.empty()) runner->relieved = false;
  }

  Device& device_;
  const std::shared_ptr<const Program> program_;
  LaunchRecords records_;
  std::mutex mutex_;
  std::condition_variable finished_;
  std::vector<size_t> open_;  // unfinished predecessors of each step
  std::deque<uint32_t> ready_;
  size_t unfinished_ = 0;
  Status status_ = kOk;
};

}  // namespace

LaunchRecords RecordEventsPending(const Program& program) {
  LaunchRecords records;
  for (uint32_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    const auto* record = std::get_if<EventRecordCall>(&step.operation);
    if (record != nullptr && step.enabled) records.by_step[i] = record->event->RecordPending();
  }
  return records;
}

Status RunProgram(Device& device, std::shared_ptr<const Program> program, LaunchRecords records) {
  return std::make_shared<GraphRun>(device, std::move(program), std::move(records))->Run();
}

}  // namespace device_sim
