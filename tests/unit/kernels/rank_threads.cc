#include "tests/unit/kernels/rank_threads.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace lamplight::kernels {
namespace {

class RankThreads {
 public:
  ~RankThreads() {
    {
      const std::lock_guard lock(mutex_);
      ends_ = true;
    }
    begin_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  void Run(uint32_t world, const std::function<void(uint32_t)>& rank_does) {
    while (threads_.size() < world) Add();
    std::unique_lock lock(mutex_);
    rank_does_ = &rank_does;
    for (uint32_t rank = 0; rank < world; ++rank) has_work_[rank] = true;
    running_ = world;
    begin_.notify_all();
    end_.wait(lock, [&] { return running_ == 0; });
  }

 private:
  void Add() {
    const std::lock_guard lock(mutex_);
    const auto rank = static_cast<uint32_t>(threads_.size());
    has_work_.push_back(false);
    threads_.emplace_back([this, rank] { Serve(rank); });
  }

  void Serve(uint32_t rank) {
    std::unique_lock lock(mutex_);
    for (;;) {
      begin_.wait(lock, [&] { return ends_ || has_work_[rank]; });
      if (ends_) return;
      has_work_[rank] = false;
      lock.unlock();
      (*rank_does_)(rank);
      lock.lock();
      if (--running_ == 0) end_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable begin_;
  std::condition_variable end_;
  bool ends_ = false;
  uint32_t running_ = 0;
  std::vector<bool> has_work_;
  const std::function<void(uint32_t)>* rank_does_ = nullptr;
  std::vector<std::thread> threads_;
};

}  // namespace

void RunOnRankThreads(uint32_t world, const std::function<void(uint32_t)>& rank_does) {
  static RankThreads threads;
  threads.Run(world, rank_does);
}

}  // namespace lamplight::kernels
