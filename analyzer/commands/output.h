// Where a command writes: standard output or a file, with every failure noticed.
// For one thread.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace lamplight {

// Invariant: after Finish() returned true, everything is written.
class Output {
 public:
  // An empty path or "-" is standard output. nullopt: the reason is on standard error.
  static std::optional<Output> Open(const std::string& path);

  Output(Output&& other) noexcept;
  Output& operator=(Output&&) = delete;
  ~Output();

  void Write(std::string_view text);
  // False: something is lost; the reason is on standard error.
  bool Finish();

 private:
  Output(std::FILE* file, std::string name) : file_(file), name_(std::move(name)) {}

  std::FILE* file_;
  std::string name_;
};

}  // namespace lamplight
