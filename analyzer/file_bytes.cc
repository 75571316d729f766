// Reads a file, extent by extent, into zeroed anonymous memory. Thread-safe: no shared state.
#include "analyzer/file_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace lamplight {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{128} << 30;  // the largest ring is 64 GiB

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::string OpenError(const std::string& path, int error) {
  std::string what = path + ": " + std::strerror(error);
  if (error == EACCES) return what + "; run as the user that recorded it, or chmod it";
  if (error == ENOENT) return what + "; check the path";
  return what;
}

// Reads [begin, end); stops short where the file was cut meanwhile (the rest stays zero).
int ReadRange(int fd, std::byte* memory, uint64_t begin, uint64_t end) {
  while (begin < end) {
    const size_t chunk = std::min<uint64_t>(end - begin, 64u << 20);
    const ssize_t got = pread(fd, memory + begin, chunk, static_cast<off_t>(begin));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return 0;
    begin += static_cast<uint64_t>(got);
  }
  return 0;
}

int ReadExtents(int fd, std::byte* memory, uint64_t size) {
  uint64_t at = 0;
  while (at < size) {
    off_t begin = lseek(fd, static_cast<off_t>(at), SEEK_DATA);
    if (begin < 0 && errno == ENXIO) return 0;  // only a hole is left
    off_t end = begin < 0 ? -1 : lseek(fd, begin, SEEK_HOLE);
    if (end < 0) {  // a file system without holes
      begin = static_cast<off_t>(at);
      end = static_cast<off_t>(size);
    }
    const uint64_t stop = std::min(size, static_cast<uint64_t>(end));
    if (const int error = ReadRange(fd, memory, static_cast<uint64_t>(begin), stop)) return error;
    at = static_cast<uint64_t>(end);
  }
  return 0;
}

}  // namespace

void Unmapper::operator()(std::byte* memory) const { munmap(memory, size); }

std::optional<FileBytes> FileBytes::Read(const std::string& path, std::span<std::byte> head_again,
                                         std::string* error) {
  // O_NONBLOCK: a FIFO in the folder must not stop the report.
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status = {};
  if (fd.get() < 0 || fstat(fd.get(), &status) != 0) {
    *error = OpenError(path, errno);
    return std::nullopt;
  }
  const auto size = static_cast<uint64_t>(std::max<off_t>(status.st_size, 0));
  if (!S_ISREG(status.st_mode) || size == 0 || size > kMaxFileBytes) {
    *error = path + (!S_ISREG(status.st_mode) ? ": not a regular file"
                     : size == 0              ? ": empty; the process died before its trace began"
                                 : ": " + std::to_string(size) + " bytes; no trace is that long");
    return std::nullopt;
  }
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    *error = path + ": no memory for " + std::to_string(size) + " bytes";
    return std::nullopt;
  }
  FileBytes file;
  file.memory_ = {static_cast<std::byte*>(memory), Unmapper{size}};
  file.size_ = size;
  int failed = ReadExtents(fd.get(), file.memory_.get(), size);
  if (failed == 0) failed = ReadRange(fd.get(), head_again.data(), 0, head_again.size());
  if (failed != 0) {
    *error = path + ": " + std::strerror(failed) + " while reading";
    return std::nullopt;
  }
  return file;
}

}  // namespace lamplight
