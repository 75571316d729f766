// libFuzzer target: any bytes as a trace, through all that a report runs. One thread.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "analyzer/crc32c.h"
#include "analyzer/detectors/registry.h"
#include "analyzer/model_builder.h"
#include "analyzer/report/json_report.h"
#include "analyzer/report/text_report.h"
#include "analyzer/trace_reader.h"

namespace lamplight {
namespace {

// Renews the checksum of every record that begins where another ends, from `at` on.
void SealRecords(std::span<std::byte> file, size_t at) {
  while (at + sizeof(trace::RecordHeader) <= file.size()) {
    trace::RecordHeader header;
    std::memcpy(&header, file.data() + at, sizeof(header));
    const bool fits = header.bytes >= sizeof(header) && header.bytes % trace::kRecordAlign == 0 &&
                      header.bytes <= file.size() - at;
    if (!fits) return;
    const uint32_t crc = Crc32c(file.subspan(at + 4, header.bytes - 4));
    std::memcpy(file.data() + at, &crc, sizeof(crc));
    at += header.bytes;
  }
}

void SealAll(std::span<std::byte> file) {
  trace::FileHeader header;
  if (file.size() < sizeof(header)) return;
  std::memcpy(&header, file.data(), sizeof(header));
  std::memcpy(header.magic, trace::kMagic, sizeof(header.magic));
  const auto* begin = reinterpret_cast<const std::byte*>(&header);
  header.static_crc = Crc32c({begin, offsetof(trace::FileHeader, static_crc)});
  std::memcpy(file.data(), &header, sizeof(header));
  for (const uint64_t offset : {header.ring_offset, header.defs_offset}) {
    if (offset < file.size()) SealRecords(file, offset);
  }
}

// The reader takes files: an anonymous one.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : fd_(memfd_create("trace", MFD_CLOEXEC)) {
    if (write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void Report(std::span<const std::byte> bytes) {
  const MemoryFile file(bytes);
  std::string error;
  std::vector<TraceFile> traces;
  if (auto trace = ReadTrace(file.path(), &error)) traces.push_back(*std::move(trace));
  if (traces.empty() && error.empty()) std::abort();  // refused without a reason
  const Model model = BuildModel(std::move(traces), {});
  const Detection diagnosis = Diagnose(model);
  if (TextReport(model, diagnosis).empty()) std::abort();
  if (!nlohmann::json::accept(JsonReport(model, diagnosis))) std::abort();
}

}  // namespace
}  // namespace lamplight

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::byte> file(size);
  std::transform(data, data + size, file.begin(), [](uint8_t byte) { return std::byte{byte}; });
  if (size > 0 && (data[size - 1] & 1) == 0) lamplight::SealAll(file);
  lamplight::Report(file);
  return 0;
}
