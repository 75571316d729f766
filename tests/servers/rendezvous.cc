// The barrier is a futex without the private flag, because the ranks may be processes.
#include "rendezvous.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <system_error>

namespace piecewise {
namespace {

[[noreturn]] void Fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void FutexWait(std::atomic<uint32_t>* word, uint32_t seen) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAIT, seen, nullptr, nullptr, 0);
}

void FutexWakeAll(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

Rendezvous::Rendezvous(int world) : world_(world), fd_(memfd_create("piecewise-rendezvous", 0)) {
  if (fd_ < 0) Fail("memfd_create");
  if (ftruncate(fd_, sizeof(MeetingPlace)) != 0) Fail("ftruncate of the rendezvous memory");
  Map();
}

Rendezvous::Rendezvous(int world, int fd) : world_(world), fd_(fd) { Map(); }

Rendezvous::~Rendezvous() {
  munmap(place_, sizeof(MeetingPlace));
  close(fd_);
}

// A fresh memfd is all zeros, which is a valid MeetingPlace.
void Rendezvous::Map() {
  void* memory = mmap(nullptr, sizeof(MeetingPlace), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (memory == MAP_FAILED) Fail("mmap of the rendezvous memory");
  place_ = static_cast<MeetingPlace*>(memory);
}

uint64_t Rendezvous::TotalSteps() const {
  uint64_t total = 0;
  for (int rank = 0; rank < world_; ++rank) total += place_->seat[rank].steps.load();
  return total;
}

int Rendezvous::RanksDone() const {
  int done = 0;
  for (int rank = 0; rank < world_; ++rank) done += place_->seat[rank].done.load() != 0;
  return done;
}

void Rendezvous::Barrier() {
  const uint32_t round = place_->round.load();
  if (place_->waiting.fetch_add(1) + 1 == static_cast<uint32_t>(world_)) {
    place_->waiting.store(0);
    place_->round.fetch_add(1);
    FutexWakeAll(&place_->round);
    return;
  }
  while (place_->round.load() == round) FutexWait(&place_->round, round);
}

}  // namespace piecewise
