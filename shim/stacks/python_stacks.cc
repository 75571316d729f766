// Two ways to the stacks. First under the GIL, on a thread that is abandoned when the GIL does not
// come. Only then CPython's crash dumper without it: whoever keeps the GIL that long is stuck in
// native code, so that the Python stacks no longer change. The dumper runs guarded all the same,
// and never first: before 3.11 it changes reference counts, which nobody may do beside running
// Python code.
#include "shim/stacks/python_stacks.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "shim/stacks/gil_thread.h"
#include "shim/stacks/guarded_call.h"
#include "shim/stacks/python_api.h"

namespace lamplight::stacks {
namespace {

constexpr size_t kMaxTextBytes = 256 * 1024;

// A file in memory that the stacks are printed to.
class Output {
 public:
  Output() : fd_(memfd_create("lamplight-python", MFD_CLOEXEC)) {}
  ~Output() {
    if (fd_ >= 0) close(fd_);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  int fd() const { return fd_; }

  std::string Text() const {
    std::string text(kMaxTextBytes, '\0');
    const ssize_t bytes = pread(fd_, text.data(), text.size(), 0);
    text.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
    return text;
  }

 private:
  int fd_;
};

// Shared by the asking thread and the one that gets the GIL; the last to leave deletes it.
struct GilJob {
  PythonApi api;
  Output output;
  std::atomic<bool> wanted{true};
  std::atomic<bool> done{false};
  std::atomic<int> owners{2};
};

void Leave(GilJob* job) {
  if (job->owners.fetch_sub(1) == 1) delete job;
}

// faulthandler allocates Python objects. A collection could then run destructors that call CUDA,
// which is what hangs.
void RunFaulthandler(const PythonApi& api, int fd) {
  const int collected = api.gc_disable != nullptr ? api.gc_disable() : 0;
  PythonApi::Object module = api.import_module("faulthandler");
  PythonApi::Object result =
      module != nullptr ? api.call_method(module, "dump_traceback", "ii", fd, 1) : nullptr;
  if (result == nullptr) api.clear_error();
  if (result != nullptr) api.release(result);
  if (module != nullptr) api.release(module);
  if (collected != 0 && api.gc_enable != nullptr) api.gc_enable();
}

void PrintUnderGil(const PythonApi& api, int fd) {
  if (api.dump_threads == nullptr) return RunFaulthandler(api, fd);
  api.dump_threads(fd, api.main_interpreter(), nullptr);
}

// Not noexcept: what runs Python code may be ended like a thread that asks for the GIL
// (gil_thread.cc).
void PrintAndLeave(void* argument) {
  GilJob* job = static_cast<GilJob*>(argument);
  if (job->wanted.load()) PrintUnderGil(job->api, job->output.fd());
  job->done.store(true);
  Leave(job);
}

bool DumpWithGil(const PythonApi& api, std::chrono::milliseconds limit, std::string* text,
                 std::string* why_not) {
  auto job = std::make_unique<GilJob>();
  job->api = api;
  if (!StartUnderGil(api.gil, PrintAndLeave, job.get())) {
    *why_not = "no thread could be started to take the GIL";
    return false;
  }
  GilJob* shared = job.release();
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!shared->done.load() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  shared->wanted.store(false);
  const bool done = shared->done.load();
  if (done) *text = shared->output.Text();
  Leave(shared);
  if (!done) *why_not = "the GIL did not come in time";
  if (done && text->empty()) *why_not = "Python printed no stacks";
  return done && !text->empty();
}

struct Dump {
  PythonApi api;
  int fd;
  const char* error = nullptr;
};

void DumpThreads(void* argument) {
  Dump& dump = *static_cast<Dump*>(argument);
  dump.error = dump.api.dump_threads(dump.fd, dump.api.main_interpreter(), nullptr);
}

bool DumpWithoutGil(const PythonApi& api, std::chrono::milliseconds limit, std::string* text,
                    std::string* why_not) {
  const Output output;
  Dump dump{api, output.fd()};
  switch (CallGuarded(DumpThreads, &dump, limit)) {
    case GuardedResult::kDone:
      break;
    case GuardedResult::kCrashed:
      *why_not += "; Python's traceback dump failed on a changing stack";
      return false;
    case GuardedResult::kTimedOut:
      *why_not += "; Python's traceback dump did not end in time";
      return false;
    case GuardedResult::kNotStarted:
      *why_not += "; no child process could be started for Python's traceback dump";
      return false;
  }
  *text = output.Text();
  if (dump.error != nullptr) *why_not += std::string("; Python says: ") + dump.error;
  return dump.error == nullptr && !text->empty();
}

bool Collect(std::string* text, std::string* why_not, std::chrono::milliseconds limit) {
  const std::optional<PythonApi> api = FindPython(why_not);
  if (!api) return false;
  if (DumpWithGil(*api, limit / 2, text, why_not)) return true;
  if (api->dump_threads == nullptr) {
    *why_not += "; this Python does not export its traceback dump";
    return false;
  }
  return DumpWithoutGil(*api, limit / 2, text, why_not);
}

}  // namespace

bool PythonStacks(std::string* text, std::string* why_not,
                  std::chrono::milliseconds time_limit) noexcept {
  const int saved_errno = errno;
  bool found = false;
  try {
    text->clear();
    why_not->clear();
    found = Collect(text, why_not, time_limit);
    if (found) why_not->clear();
  } catch (...) {  // out of memory: no stacks
  }
  errno = saved_errno;
  return found;
}

}  // namespace lamplight::stacks
