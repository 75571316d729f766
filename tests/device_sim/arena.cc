// Thread-safe: one lock per arena.
#include "tests/device_sim/arena.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>

namespace device_sim {
namespace {

constexpr size_t kLargest = size_t{80} << 30;
constexpr size_t kSmallest = size_t{256} << 20;

uint64_t RandomIdentity() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

void* MapFile(int file, size_t bytes) {
  if (ftruncate(file, static_cast<off_t>(bytes)) != 0) return MAP_FAILED;
  return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
}

}  // namespace

Arena::Arena() {
  file_ = memfd_create("device_sim", MFD_CLOEXEC);
  if (file_ < 0) return;
  // Address space can be limited: take what there is.
  void* mapped = MAP_FAILED;
  for (size_ = kLargest; size_ >= kSmallest; size_ /= 2) {
    mapped = MapFile(file_, size_);
    if (mapped != MAP_FAILED) break;
  }
  if (mapped == MAP_FAILED) return;
  base_ = static_cast<std::byte*>(mapped);
  identity_ = RandomIdentity();
  *reinterpret_cast<ArenaHeader*>(base_) = {kArenaMagic, identity_};
  free_[kGranularity] = free_bytes_ = size_ - kGranularity;
}

size_t Arena::free_bytes() const {
  const std::lock_guard lock(mutex_);
  return free_bytes_;
}

std::byte* Arena::Allocate(size_t bytes) {
  if (bytes > size_) return nullptr;
  const size_t rounded = RoundUp(bytes);
  const std::lock_guard lock(mutex_);
  for (auto range = free_.begin(); range != free_.end(); ++range) {
    const auto [offset, length] = *range;
    if (length < rounded) continue;
    free_.erase(range);
    if (length > rounded) free_[offset + rounded] = length - rounded;
    free_bytes_ -= rounded;
    return base_ + offset;
  }
  return nullptr;
}

void Arena::Free(std::byte* start, size_t bytes) {
  size_t length = RoundUp(bytes);
  auto offset = static_cast<size_t>(start - base_);
  fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
            static_cast<off_t>(length));
  const std::lock_guard lock(mutex_);
  free_bytes_ += length;
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && offset + length == next->first) {
    length += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == offset) {
      previous->second += length;
      return;
    }
  }
  free_[offset] = length;
}

}  // namespace device_sim
