// Slots, handler and rounds; see the header for threads.
#include "shim/stacks/thread_signal.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <thread>

#include "shim/stacks/stacks.h"
#include "shim/stacks/unwinder.h"

namespace lamplight::stacks {
namespace {

// Twice what a walk by libunwind takes; less is left on some alternate signal stacks.
constexpr size_t kWalkBytes = 8 * 1024;

enum State : uint64_t { kFree = 0, kAsked = 1, kWalking = 2, kDone = 3 };

// `word` holds the state in its low two bits and the number of the question above them, so that a
// signal that is delivered late cannot answer a later question.
struct Slot {
  std::atomic<uint64_t> word{kFree};
  size_t count = 0;
  std::array<uintptr_t, kMaxFrames> pcs;
};

constexpr size_t kSlots = 2 * SignalRound::kBatch;
constexpr uint64_t kSlotMask = kSlots - 1;
static_assert((kSlots & kSlotMask) == 0);

Slot slots[kSlots];
uint64_t questions = 0;  // guarded by the one SignalRound
std::atomic<int> picked{0};

uint64_t Word(uint64_t question, State state) { return question << 2 | state; }

// What travels with the signal: question and slot.
uintptr_t Ticket(uint64_t question, size_t slot) { return question * kSlots + slot; }

size_t RoomOnStack() {
  stack_t stack{};
  if (sigaltstack(nullptr, &stack) != 0 || (stack.ss_flags & SS_ONSTACK) == 0) return SIZE_MAX;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  return here - reinterpret_cast<uintptr_t>(stack.ss_sp);
}

void Walk(const ucontext_t& context, Slot* slot) {
  if (RoomOnStack() < kWalkBytes) {
    slot->pcs[0] = InterruptedPc(context);
    slot->count = 1;
    return;
  }
  slot->count = UnwindFromSignal(context, slot->pcs.data(), slot->pcs.size());
}

void OnSignal(int, siginfo_t* info, void* context) {
  if (info->si_code != SI_QUEUE || info->si_pid != getpid()) return;
  const int saved_errno = errno;
  const auto ticket = reinterpret_cast<uintptr_t>(info->si_value.sival_ptr);
  Slot& slot = slots[ticket & kSlotMask];
  const uint64_t question = ticket / kSlots;
  uint64_t asked = Word(question, kAsked);
  if (slot.word.compare_exchange_strong(asked, Word(question, kWalking))) {
    Walk(*static_cast<ucontext_t*>(context), &slot);
    slot.word.store(Word(question, kDone), std::memory_order_release);
  }
  errno = saved_errno;
}

bool IsFree(int signal) {
  struct sigaction current {};
  return sigaction(signal, nullptr, &current) == 0 && (current.sa_flags & SA_SIGINFO) == 0 &&
         current.sa_handler == SIG_DFL;
}

bool IsOurs(int signal) {
  struct sigaction current {};
  return sigaction(signal, nullptr, &current) == 0 && (current.sa_flags & SA_SIGINFO) != 0 &&
         current.sa_sigaction == OnSignal;
}

bool Install(int signal) {
  struct sigaction action {};
  action.sa_sigaction = OnSignal;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  return sigaction(signal, &action, nullptr) == 0;
}

bool Lives(pid_t tid) { return syscall(SYS_tgkill, getpid(), tid, 0) == 0; }

bool IsDone(const Slot& slot) { return (slot.word.load(std::memory_order_acquire) & 3) == kDone; }

// False where the thread ends or the time is up before it answers.
bool AwaitDone(const Slot& slot, pid_t tid, std::chrono::steady_clock::time_point end) {
  while (!IsDone(slot)) {
    if (std::chrono::steady_clock::now() >= end || !Lives(tid)) return IsDone(slot);
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

// Slots whose threads answered after their round.
void ReclaimSlots() {
  for (Slot& slot : slots) {
    if (IsDone(slot)) slot.word.store(kFree);
  }
}

// kSlots: none is free.
size_t TakeSlot() {
  for (size_t i = 0; i < kSlots; ++i) {
    if ((slots[i].word.load(std::memory_order_acquire) & 3) == kFree) return i;
  }
  return kSlots;
}

}  // namespace

int PickSignal() noexcept {
  const int known = picked.load();
  if (known != 0 && (IsFree(known) || IsOurs(known))) return known;
  // From the top but one: runtimes prefer the ends of the range.
  for (int signal = SIGRTMAX - 2; signal > SIGRTMIN; --signal) {
    if (!IsFree(signal)) continue;
    picked.store(signal);
    return signal;
  }
  return 0;
}

SignalRound::SignalRound() noexcept {
  const int signal = PickSignal();
  if (signal != 0 && Install(signal)) signal_ = signal;
}

SignalRound::~SignalRound() {
  if (signal_ == 0 || !all_answered_ || !IsOurs(signal_)) return;
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  sigaction(signal_, &action, nullptr);
}

bool SignalRound::Send(Answer* answer, size_t* slot) {
  *slot = TakeSlot();
  if (*slot == kSlots) return false;
  const uint64_t question = ++questions;
  slots[*slot].word.store(Word(question, kAsked));
  siginfo_t info{};
  info.si_signo = signal_;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = reinterpret_cast<void*>(Ticket(question, *slot));
  if (syscall(SYS_rt_tgsigqueueinfo, getpid(), answer->tid, signal_, &info) == 0) return true;
  slots[*slot].word.store(Word(question, kFree));
  return false;
}

void SignalRound::Ask(std::span<Answer> answers, std::chrono::milliseconds limit) {
  ReclaimSlots();
  std::vector<size_t> asked(answers.size(), kSlots);
  for (size_t i = 0; i < answers.size(); ++i) {
    if (!Send(&answers[i], &asked[i])) asked[i] = kSlots;
  }
  const auto end = std::chrono::steady_clock::now() + limit;
  for (size_t i = 0; i < answers.size(); ++i) {
    if (asked[i] == kSlots) continue;
    Slot& slot = slots[asked[i]];
    if (AwaitDone(slot, answers[i].tid, end)) {
      answers[i].answered = true;
      answers[i].pcs.assign(slot.pcs.begin(), slot.pcs.begin() + static_cast<long>(slot.count));
      slot.word.store(kFree);
      continue;
    }
    // Not taken up yet: forget the question. Being walked: the slot stays out of use till done.
    uint64_t word = slot.word.load(std::memory_order_acquire);
    if ((word & 3) == kAsked) slot.word.compare_exchange_strong(word, word & ~uint64_t{3});
    if (Lives(answers[i].tid)) all_answered_ = false;
  }
}

}  // namespace lamplight::stacks
