// The search goes by what the process has loaded: that says which environment it runs in.
#include "shim/cupti/library.h"

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace lamplight::shim::cupti {
namespace {

constexpr const char* kNames[] = {"libcupti.so.13", "libcupti.so.12", "libcupti.so"};

int AddObject(dl_phdr_info* object, size_t, void* out) {
  if (object->dlpi_name != nullptr && object->dlpi_name[0] == '/') {
    static_cast<std::vector<std::string>*>(out)->push_back(object->dlpi_name);
  }
  return 0;
}

std::vector<std::string> LoadedFiles() {
  std::vector<std::string> files;
  dl_iterate_phdr(AddObject, &files);
  return files;
}

std::string_view BaseName(std::string_view path) { return path.substr(path.rfind('/') + 1); }

class Search {
 public:
  void File(const std::string& path) {
    if (std::find(found_.begin(), found_.end(), path) == found_.end()) found_.push_back(path);
  }
  void Folder(const std::string& folder) {
    for (const char* name : kNames) {
      const std::string path = folder + "/" + name;
      if (access(path.c_str(), R_OK) == 0) File(path);
    }
  }
  void Toolkit(const std::string& root) {
    for (const char* below : {"/lib64", "/lib", "/extras/CUPTI/lib64"}) Folder(root + below);
  }
  std::vector<std::string> Take() { return std::move(found_); }

 private:
  std::vector<std::string> found_;
};

// Beside it in a toolkit and in NVIDIA's packages for CUDA 13; in a folder of its own in those for
// CUDA 12.
void LookBeside(const std::string& runtime, Search* search) {
  const std::string folder = runtime.substr(0, runtime.rfind('/'));
  search->Folder(folder);
  search->Folder(folder + "/../../cuda_cupti/lib");
  search->Folder(folder + "/../extras/CUPTI/lib64");
}

void LookInPackages(const std::string& file, Search* search) {
  for (const char* part : {"/site-packages/", "/dist-packages/"}) {
    const size_t at = file.find(part);
    if (at == std::string::npos) continue;
    const std::string nvidia = file.substr(0, at) + part + "nvidia";
    search->Folder(nvidia + "/cu13/lib");
    search->Folder(nvidia + "/cuda_cupti/lib");
  }
}

template <class F>
bool Take(void* library, const char* name, F* out) {
  *out = reinterpret_cast<F>(dlsym(library, name));
  return *out != nullptr;
}

bool Fill(void* handle, Library* out) {
  abi::Result (*get_version)(uint32_t*) = nullptr;
  if (Take(handle, "cuptiGetVersion", &get_version)) get_version(&out->version);
  return Take(handle, "cuptiSubscribe", &out->Subscribe) &&
         Take(handle, "cuptiUnsubscribe", &out->Unsubscribe) &&
         Take(handle, "cuptiEnableCallback", &out->EnableCallback) &&
         Take(handle, "cuptiGetResultString", &out->GetResultString);
}

// The loader's own words where it fails.
bool LoadFile(const std::string& path, Library* out, std::string* why) {
  void* handle = dlopen(path.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* error = dlerror();
    *why = error == nullptr ? "cannot be loaded" : error;
    return false;
  }
  out->path = path;
  if (link_map* map = nullptr;
      dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr && map->l_name[0] != '\0') {
    out->path = map->l_name;
  }
  if (Fill(handle, out)) return true;
  *why = out->path + " lacks CUPTI's callback interface";
  return false;
}

}  // namespace

std::string Library::Name(abi::Result result) const {
  const char* name = nullptr;
  if (GetResultString != nullptr && GetResultString(result, &name) == abi::kSuccess &&
      name != nullptr) {
    return name;
  }
  return "CUPTI error " + std::to_string(result);
}

std::vector<std::string> Candidates() {
  Search search;
  const std::vector<std::string> loaded = LoadedFiles();
  for (const std::string& file : loaded) {
    if (BaseName(file).starts_with("libcupti.so")) search.File(file);
  }
  for (const std::string& file : loaded) {
    if (BaseName(file).starts_with("libcudart.so")) LookBeside(file, &search);
  }
  for (const char* name : kNames) search.File(name);
  for (const std::string& file : loaded) LookInPackages(file, &search);
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    const char* root = std::getenv(variable);
    if (root != nullptr && *root == '/') search.Toolkit(root);
  }
  search.Toolkit("/usr/local/cuda");
  return search.Take();
}

bool Load(const std::string& wanted, Library* out, std::string* why) {
  if (!wanted.empty()) return LoadFile(wanted, out, why);
  for (const std::string& path : Candidates()) {
    std::string ignored;
    if (LoadFile(path, out, &ignored)) return true;
  }
  *why =
      "no libcupti.so.13 or .12 beside libcudart, on the loader's path, among the Python packages, "
      "in CUDA_HOME or /usr/local/cuda: install nvidia-cuda-cupti, or name the file in "
      "LAMPLIGHT_CUPTI";
  return false;
}

}  // namespace lamplight::shim::cupti
