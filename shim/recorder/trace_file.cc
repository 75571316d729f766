// Creating the file, and appending definitions to it.
#include "shim/recorder/trace_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "shim/recorder/crc32c.h"

namespace lamplight::shim {
namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kMinRingBytes = 64 << 10;
constexpr uint64_t kMaxRingBytes = 64ull << 30;
constexpr uint64_t kChunkBytes = 1 << 20;  // growth of the definitions
constexpr char kUnfinishedSuffix[] = ".new";

uint64_t RoundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

uint64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

std::string HostName() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  std::string host = name;
  std::replace(host.begin(), host.end(), '/', '_');
  return host;
}

// Growing past the limit would raise SIGXFSZ, which ends a server that does not expect it.
bool WithinFileSizeLimit(uint64_t end) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return true;
  return end <= limit.rlim_cur;
}

// Gives [offset, end) of the file blocks of its own; 0 or an errno value.
int Allocate(int fd, uint64_t offset, uint64_t end) {
  if (!WithinFileSizeLimit(end)) return EFBIG;
  int code = 0;
  do {
    code = posix_fallocate(fd, static_cast<off_t>(offset), static_cast<off_t>(end - offset));
  } while (code == EINTR);
  return code;
}

trace::FileHeader MakeHeader(uint64_t ring_bytes, uint64_t start_ns) {
  trace::FileHeader header{};
  std::memcpy(header.magic, trace::kMagic, sizeof(header.magic));
  header.major = trace::kMajor;
  header.minor = trace::kMinor;
  header.header_bytes = trace::kHeaderBytes;
  header.ring_offset = trace::kHeaderBytes;
  header.ring_bytes = ring_bytes;
  header.defs_offset = header.ring_offset + ring_bytes;
  header.pid = static_cast<uint32_t>(getpid());
  header.start_ns = start_ns;
  header.static_crc = Crc32c(&header, offsetof(trace::FileHeader, static_crc));
  return header;
}

bool MakeDirectory(const std::string& directory, std::string* error) {
  if (directory.empty()) {
    *error = "no trace folder is named: set LAMPLIGHT_DIR to one";
    return false;
  }
  std::error_code code;
  std::filesystem::create_directories(directory, code);
  // Creating an existing folder of a read-only file system is an error that does not matter.
  if (!code || std::filesystem::is_directory(directory)) return true;
  *error = "cannot create the trace folder " + directory + ": " + code.message() +
           "; set LAMPLIGHT_DIR to a folder that can be written";
  return false;
}

std::string CannotCreate(const std::string& path, int code) {
  return "cannot create the trace file " + path + ": " + std::strerror(code) +
         "; set LAMPLIGHT_DIR to a folder that can be written";
}

std::string NoRoom(const std::string& path, uint64_t bytes, int code) {
  return "no room for " + std::to_string(bytes) + " bytes of the trace file " + path + ": " +
         std::strerror(code) +
         "; free some, set LAMPLIGHT_DIR to a folder elsewhere, or LAMPLIGHT_RING_MB to less";
}

std::string TooMany(const std::string& path, uint64_t bytes) {
  return "the definitions of the trace file " + path + " have reached " + std::to_string(bytes) +
         " bytes: the program makes new graphs, streams or workspaces without end";
}

bool CheckRingBytes(uint64_t ring_bytes, std::string* error) {
  if (ring_bytes >= kMinRingBytes && ring_bytes <= kMaxRingBytes) return true;
  *error = "event ring of " + std::to_string(ring_bytes) + " bytes: choose between " +
           std::to_string(kMinRingBytes) + " and " + std::to_string(kMaxRingBytes) +
           " (LAMPLIGHT_RING_MB)";
  return false;
}

}  // namespace

std::unique_ptr<TraceFile> TraceFile::Create(const std::string& directory, uint64_t ring_bytes,
                                             std::string* error) {
  if (!CheckRingBytes(ring_bytes, error) || !MakeDirectory(directory, error)) return nullptr;
  ring_bytes = RoundUp(ring_bytes, kPageBytes);
  const uint64_t start_ns = MonotonicNs();
  const std::string path = directory + "/" + HostName() + "-" + std::to_string(getpid()) + "-" +
                           std::to_string(start_ns) + trace::kFileSuffix;
  const std::string unfinished = path + kUnfinishedSuffix;
  const int fd = open(unfinished.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    *error = CannotCreate(path, errno);
    return nullptr;
  }
  auto file = Fill(fd, MakeHeader(ring_bytes, start_ns), path, error);
  if (file != nullptr && rename(unfinished.c_str(), path.c_str()) != 0) {
    *error = CannotCreate(path, errno);
    file = nullptr;
  }
  if (file == nullptr) unlink(unfinished.c_str());
  return file;
}

std::unique_ptr<TraceFile> TraceFile::Fill(int fd, const trace::FileHeader& header,
                                           const std::string& path, std::string* error) {
  if (const int code = Allocate(fd, 0, header.defs_offset); code != 0) {
    *error = NoRoom(path, header.defs_offset, code);
    close(fd);
    return nullptr;
  }
  void* mapping = mmap(nullptr, header.defs_offset, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapping == MAP_FAILED) {
    *error = CannotCreate(path, errno);
    close(fd);
    return nullptr;
  }
  std::memcpy(mapping, &header, sizeof(header));
  struct stat status {};
  fstat(fd, &status);
  return std::unique_ptr<TraceFile>(
      new TraceFile(fd, {status.st_dev, status.st_ino}, mapping, header.defs_offset, path));
}

TraceFile::TraceFile(int fd, const Identity& identity, void* mapping, uint64_t mapped_bytes,
                     std::string path)
    : fd_(fd),
      identity_(identity),
      mapped_bytes_(mapped_bytes),
      path_(std::move(path)),
      header_(static_cast<trace::FileHeader*>(mapping)),
      ring_(header_, static_cast<unsigned char*>(mapping) + trace::kHeaderBytes),
      reserved_end_(mapped_bytes) {}

TraceFile::~TraceFile() {
  munmap(header_, mapped_bytes_);
  struct stat status {};
  const bool own = fstat(fd_, &status) == 0 && Identity{status.st_dev, status.st_ino} == identity_;
  if (own) close(fd_);
}

bool TraceFile::AppendDefinition(trace::RecordHeader* record, std::string* error) {
  SealRecord(record);
  std::lock_guard lock(definitions_mutex_);
  if (definitions_bytes_ + record->bytes > max_definition_bytes_) {
    *error = TooMany(path_, max_definition_bytes_);
    std::atomic_ref(header_->definitions_dropped).store(++definitions_dropped_);
    return false;
  }
  const uint64_t begin = mapped_bytes_ + definitions_bytes_;
  int code = Reserve(begin + record->bytes);
  if (code == 0) code = Write(record, record->bytes, begin);
  if (code != 0) {
    *error = NoRoom(path_, record->bytes, code);
    std::atomic_ref(header_->definitions_dropped).store(++definitions_dropped_);
    return false;
  }
  definitions_bytes_ += record->bytes;
  std::atomic_ref(header_->defs_bytes).store(definitions_bytes_, std::memory_order_release);
  return true;
}

// Where there is no room for a whole chunk, what is needed may still fit.
int TraceFile::Reserve(uint64_t end) noexcept {
  if (end <= reserved_end_) return 0;
  int code = 0;
  for (const uint64_t unit : {kChunkBytes, kPageBytes}) {
    const uint64_t rounded = reserved_end_ + RoundUp(end - reserved_end_, unit);
    code = Allocate(fd_, reserved_end_, rounded);
    if (code != 0) continue;
    reserved_end_ = rounded;
    return 0;
  }
  return code;
}

int TraceFile::Write(const void* bytes, size_t size, uint64_t offset) noexcept {
  if (!WithinFileSizeLimit(offset + size)) return EFBIG;
  const auto* next = static_cast<const unsigned char*>(bytes);
  while (size > 0) {
    const ssize_t written = pwrite(fd_, next, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : EIO;
    next += written;
    offset += static_cast<uint64_t>(written);
    size -= static_cast<size_t>(written);
  }
  return 0;
}

// A host may close a descriptor twice, and with that one of ours, whose number its own next file
// then gets.
const char* TraceFile::Lost() const noexcept {
  struct stat status {};
  if (fstat(fd_, &status) != 0 || Identity{status.st_dev, status.st_ino} != identity_) {
    return "somebody closed the descriptor of the trace file; recording ends";
  }
  if (static_cast<uint64_t>(status.st_size) >= mapped_bytes_) return nullptr;
  return "somebody shortened the trace file; recording ends";
}

}  // namespace lamplight::shim
