// Makes other threads of this process walk their own stacks, by a real-time signal.
//
// One thread at a time may hold a SignalRound. The handler touches only slots of static storage and
// stays async-signal-safe; a slot whose thread never answers is not used again until it does.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lamplight::stacks {

// Picks the first free real-time signal; 0 where all are taken. Needed once.
int PickSignal() noexcept;

// Installs the handler for its lifetime. Invariant: it is removed again only if no asked thread may
// still have the signal pending, since an unhandled real-time signal ends the process.
class SignalRound {
 public:
  SignalRound() noexcept;
  ~SignalRound();
  SignalRound(const SignalRound&) = delete;
  SignalRound& operator=(const SignalRound&) = delete;

  bool ready() const { return signal_ != 0; }

  // The answer of one thread; empty pcs: none in time.
  struct Answer {
    pid_t tid;
    bool answered = false;
    std::vector<uintptr_t> pcs;
  };
  // Asks all threads at once and waits at most `limit` for the slowest. At most kBatch threads.
  static constexpr size_t kBatch = 128;
  void Ask(std::span<Answer> answers, std::chrono::milliseconds limit);

 private:
  bool Send(Answer* answer, size_t* slot);

  int signal_ = 0;
  bool all_answered_ = true;
};

}  // namespace lamplight::stacks
