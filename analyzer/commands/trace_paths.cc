// Thread-safe: no state.
#include "analyzer/commands/trace_paths.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "shim/trace_format.h"

namespace lamplight {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 3;
constexpr size_t kMaxFolders = 4096;  // looked into below one argument
constexpr size_t kNamedFolders = 8;

struct Folder {
  std::vector<std::string> traces;
  std::vector<fs::path> folders;
  std::error_code error;
};

Folder List(const fs::path& path) {
  Folder folder;
  fs::directory_iterator entries(path, folder.error);
  for (; !folder.error && entries != fs::directory_iterator(); entries.increment(folder.error)) {
    std::error_code ignored;
    if (entries->path().extension() == trace::kFileSuffix) {
      folder.traces.push_back(entries->path());
    } else if (entries->is_directory(ignored)) {
      folder.folders.push_back(entries->path());
    }
  }
  std::sort(folder.folders.begin(), folder.folders.end());
  return folder;
}

// One folder of the command line.
class FolderSearch {
 public:
  FolderSearch(std::string root, TracePaths* paths) : root_(std::move(root)), paths_(*paths) {}

  void Run() {
    Search(root_, 0);
    if (found_.empty()) {
      if (paths_.errors.size() == errors_before_) paths_.errors.push_back(NothingText());
      return;
    }
    const bool itself = found_.size() == 1 && found_.front() == root_;
    if (!itself) paths_.notes.push_back(FoundText());
    if (!skipped_.empty()) paths_.notes.push_back(SkippedText());
  }

 private:
  void Search(const fs::path& path, int depth) {
    if (++looked_into_ > kMaxFolders) return;
    const Folder folder = List(path);
    if (folder.error) {
      paths_.errors.push_back(path.string() + ": " + folder.error.message() +
                              "; the folder cannot be listed");
    }
    if (!folder.traces.empty()) {
      found_.push_back(path);
      traces_ += folder.traces.size();
      paths_.files.insert(paths_.files.end(), folder.traces.begin(), folder.traces.end());
      for (const fs::path& below : folder.folders) LookForSkipped(below, depth + 1);
      return;
    }
    if (depth == kMaxDepth) return;
    for (const fs::path& below : folder.folders) Search(below, depth + 1);
  }

  // Folders beside traces are not searched: another run's traces may lie in them.
  void LookForSkipped(const fs::path& path, int depth) {
    if (++looked_into_ > kMaxFolders || depth > kMaxDepth) return;
    const Folder folder = List(path);
    if (!folder.traces.empty()) return skipped_.push_back(path);
    for (const fs::path& below : folder.folders) LookForSkipped(below, depth + 1);
  }

  // "a, b and 3 more"
  std::string Names(const std::vector<fs::path>& folders) const {
    std::string text;
    for (size_t i = 0; i < std::min(folders.size(), kNamedFolders); ++i) {
      text += (i == 0 ? "" : ", ") + folders[i].lexically_relative(root_).string();
    }
    if (folders.size() > kNamedFolders) {
      text += " and " + std::to_string(folders.size() - kNamedFolders) + " more";
    }
    return text;
  }

  std::string SkippedText() const {
    return root_ +
           ": subfolders beside the traces have traces too and were not read: " + Names(skipped_) +
           "; name them where they belong to the same run";
  }

  std::string NothingText() const {
    return root_ + ": no *" + trace::kFileSuffix + " files in it or its subfolders" +
           (looked_into_ > kMaxFolders
                ? ", of which the first " + std::to_string(kMaxFolders) + " were looked into"
                : "") +
           "; record some with `lamplight run -- CMD`, or check that CMD used CUDA";
  }

  std::string FoundText() const {
    return root_ + " has no traces itself; read " + std::to_string(traces_) +
           (traces_ == 1 ? " trace" : " traces") + " of its subfolders " + Names(found_);
  }

  const std::string root_;
  TracePaths& paths_;
  const size_t errors_before_ = paths_.errors.size();
  size_t looked_into_ = 0;
  size_t traces_ = 0;
  std::vector<fs::path> found_;
  std::vector<fs::path> skipped_;
};

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
      FolderSearch(argument, &paths).Run();
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
