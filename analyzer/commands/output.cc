// Buffered output that does not lose errors.
#include "analyzer/commands/output.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace lamplight {

std::optional<Output> Output::Open(const std::string& path) {
  if (path.empty() || path == "-") return Output(stdout, "standard output");
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) {
    std::fprintf(stderr, "lamplight: %s: %s; choose a place you may write to\n", path.c_str(),
                 std::strerror(errno));
    return std::nullopt;
  }
  return Output(file, path);
}

Output::Output(Output&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)), name_(std::move(other.name_)) {}

Output::~Output() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
}

void Output::Write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), file_); }

bool Output::Finish() {
  const bool whole = std::fflush(file_) == 0 && std::ferror(file_) == 0;
  if (!whole) {
    std::fprintf(stderr, "lamplight: %s: %s; the output is incomplete\n", name_.c_str(),
                 std::strerror(errno));
  }
  return whole;
}

}  // namespace lamplight
