#include "shim/driver/clients.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "shim/config.h"
#include "shim/driver/fronts.h"
#include "shim/hooks/guard.h"
#include "shim/log.h"
#include "shim/recorder/record_builder.h"
#include "shim/session.h"

namespace lamplight::shim::driver {
namespace {

// The hooks stand in front of the dynamic runtime; what the others do inside is none of the host's
// collectives, and tools must see the driver itself.
constexpr std::string_view kCudasLibraries[] = {
    "libcuda.so",        "libcudart.so", "libcudadebugger", "libcupti",
    "libnvperf",         "libnccl",      "libnvshmem",      "libcublas",
    "libcudnn",          "libcufft",     "libcurand",       "libcusolver",
    "libcusparse",       "libcufile",    "libnvrtc",        "libnvJitLink",
    "libnvjitlink",      "libnvidia-",   "libnvToolsExt",   "libnvtx",
    "libToolsInjection", "libsanitizer", "libdevice_sim",   "libInterceptorInjection",
};

struct Module {
  std::string_view path;  // empty: unknown
  const void* base = nullptr;

  explicit Module(const void* address) noexcept {
    Dl_info found{};
    if (dladdr(address, &found) == 0 || found.dli_fname == nullptr) return;
    path = found.dli_fname;
    base = found.dli_fbase;
  }

  bool IsCudas() const noexcept {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    return std::ranges::any_of(kCudasLibraries,
                               [name](std::string_view start) { return name.starts_with(start); });
  }
};

// The shim's own, under whatever name it was loaded.
bool IsOwn(const Module& module) noexcept {
  static constinit std::atomic<const void*> own{nullptr};
  if (own.load(std::memory_order_relaxed) == nullptr) {
    own.store(Module(reinterpret_cast<const void*>(&IsClients)).base, std::memory_order_relaxed);
  }
  return module.base == own.load(std::memory_order_relaxed);
}

// Those that have come, in this order; they are never taken out. More are not remembered: with
// LAMPLIGHT_DRIVER=1 every kernel of Triton's has a module of its own.
constinit std::array<std::atomic<const std::string*>, 64> clients{};

// False: known, or no more room.
bool Insert(std::string_view path) {
  auto added = std::make_unique<const std::string>(path);
  for (std::atomic<const std::string*>& client : clients) {
    const std::string* known = nullptr;
    if (client.compare_exchange_strong(known, added.get())) {
      added.release();
      return true;
    }
    if (*known == path) return false;
  }
  return false;
}

void DefineOne(Recorder& recorder, const std::string& module) {
  LogInfo("{} asks the driver for its functions: its calls are seen there", module);
  RecordBuilder<trace::DriverClient> builder(trace::RecordType::kDriverClient);
  builder.SetString(&trace::DriverClient::module, module);
  recorder.Define(builder);
}

void Remember(std::string_view path) {
  if (!Insert(path)) return;
  if (Session* session = Session::Running()) DefineOne(session->recorder(), std::string(path));
}

}  // namespace

Wish Wish::FromEnvironment() {
  const char* value = std::getenv("LAMPLIGHT_DRIVER");
  const std::string_view text = value == nullptr ? "" : value;
  if (text.empty() || text == "auto") return {};
  if (text == "0") return {kOff, true};
  if (text == "1") return {kOn, true};
  return {kAuto, false};
}

Wish::Kind Wish::OfProcess() noexcept {
  constexpr int kUnread = -1;
  static constinit std::atomic<int> cached{kUnread};
  int kind = cached.load(std::memory_order_relaxed);
  if (kind == kUnread) {
    kind = Config::Disabled() ? kOff : FromEnvironment().kind;
    cached.store(kind, std::memory_order_relaxed);
  }
  return static_cast<Kind>(kind);
}

bool IsClients(Wish::Kind wish, const char* name, void* handle, const void* caller) noexcept {
  if (name == nullptr || name[0] != 'c' || name[1] != 'u' || wish == Wish::kOff) [[likely]]
    return false;
  // What these mean depends on who calls.
  if (handle == RTLD_NEXT || handle == RTLD_DEFAULT) return false;
  constexpr std::string_view kQuestion = "cuGetProcAddress";
  const bool question = std::strncmp(name, kQuestion.data(), kQuestion.size()) == 0;
  if (!question && std::isupper(static_cast<unsigned char>(name[2])) == 0) return false;
  if ((!question && wish == Wish::kAuto) || Inside::Now()) return false;
  const KeepErrno keep;
  const Module module(caller);
  return !module.path.empty() && !module.IsCudas() && !IsOwn(module);
}

void* Answer(Dlsym real, void* handle, const char* name, const void* caller) noexcept {
  void* found = real(handle, name);
  if (found == nullptr) return found;
  void* front = found;
  Guarded([&] {
    front = FrontOf(found);
    if (front != found) Remember(Module(caller).path);
  });
  dlerror();  // of what we have looked for meanwhile: the client's own question was answered
  return front;
}

void Define(Recorder& recorder) {
  for (const std::atomic<const std::string*>& client : clients) {
    const std::string* module = client.load(std::memory_order_acquire);
    if (module == nullptr) return;
    DefineOne(recorder, *module);
  }
}

}  // namespace lamplight::shim::driver
