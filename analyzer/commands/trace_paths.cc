// Thread-safe: no state.
#include "analyzer/commands/trace_paths.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "shim/trace_format.h"

namespace lamplight {
namespace {

namespace fs = std::filesystem;

// Empty: the folder gave files.
std::string AddFolder(const fs::path& folder, std::vector<std::string>* files) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) return folder.string() + ": " + error.message() + "; the folder cannot be listed";
  const size_t before = files->size();
  for (; entries != fs::directory_iterator(); entries.increment(error)) {
    if (error) break;
    if (entries->path().extension() == trace::kFileSuffix) files->push_back(entries->path());
  }
  if (error) return folder.string() + ": " + error.message() + " while listing it";
  if (files->size() != before) return {};
  return folder.string() + ": no *" + trace::kFileSuffix +
         " files in it; record some with `lamplight run -- CMD`, or check that CMD used CUDA";
}

std::string MissingText(const std::string& argument, const std::error_code& error) {
  const std::string why = error ? error.message() : "No such file or directory";
  return argument + ": " + why + "; give a trace folder or *" + trace::kFileSuffix + " files";
}

}  // namespace

TracePaths ExpandTracePaths(const std::vector<std::string>& arguments) {
  TracePaths paths;
  for (const std::string& argument : arguments) {
    std::error_code error;
    const fs::file_status status = fs::status(argument, error);
    if (fs::is_directory(status)) {
      std::string failure = AddFolder(argument, &paths.files);
      if (!failure.empty()) paths.errors.push_back(std::move(failure));
    } else if (!fs::exists(status)) {
      paths.errors.push_back(MissingText(argument, error));
    } else {
      paths.files.push_back(argument);
    }
  }
  std::sort(paths.files.begin(), paths.files.end());
  paths.files.erase(std::unique(paths.files.begin(), paths.files.end()), paths.files.end());
  return paths;
}

}  // namespace lamplight
