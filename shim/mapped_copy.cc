#include "shim/mapped_copy.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace lamplight::shim {

// A requeue of no waiters, on the condition that the word is 0: nothing but the comparison is left.
bool IsMappedAndSet(const uint32_t* word) noexcept {
  const int saved_errno = errno;
  const bool differs =
      syscall(SYS_futex, word, FUTEX_CMP_REQUEUE_PRIVATE, 0, 0, word, 0) == -1 && errno == EAGAIN;
  errno = saved_errno;
  return differs;
}

// A pipe of the moment's: a kept one could be closed by the host, and its number be another file's.
bool CopyMapped(const void* from, void* to, size_t bytes) noexcept {
  const int saved_errno = errno;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  const auto wanted = static_cast<ssize_t>(bytes);
  const bool copied = write(ends[1], from, bytes) == wanted && read(ends[0], to, bytes) == wanted;
  close(ends[0]);
  close(ends[1]);
  errno = saved_errno;
  return copied;
}

}  // namespace lamplight::shim
