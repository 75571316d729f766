// With the GIL, the caller walks its own frames. Without it, a thread of ours waits for the GIL and
// walks them while the caller stands still. Waiting for the GIL on the caller's own thread could
// deadlock: its owner may wait for a lock that the caller holds around the capture.
#include "shim/stacks/python_frames.h"

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "shim/stacks/gil_thread.h"
#include "shim/stacks/python_api.h"

namespace lamplight::stacks {
namespace {

using Frames = std::vector<PythonFrame>;
using Object = PythonFrameApi::Object;

// So many calls in a row without the GIL, and nobody waits for it any more.
constexpr int kMaxMisses = 5;

std::string TextAttribute(const PythonFrameApi& api, Object object, const char* name) {
  Object value = api.attribute(object, name);
  const char* text = value == nullptr ? nullptr : api.utf8(value);
  std::string copy = text == nullptr ? "?" : text;
  if (text == nullptr) api.clear_error();
  if (value != nullptr) api.release(value);
  return copy;
}

PythonFrame Describe(const PythonFrameApi& api, Object frame) {
  PythonFrame described;
  const int line = api.line_of(frame);
  described.line = line > 0 ? static_cast<uint32_t>(line) : 0;
  Object code = api.code_of(frame);
  if (code == nullptr) return described;
  described.file = TextAttribute(api, code, "co_filename");
  described.function = TextAttribute(api, code, "co_name");
  api.release(code);
  return described;
}

// Under the GIL. Frames become Python objects here, and so many new objects may start a collection,
// whose destructors could call CUDA.
Frames Walk(const PythonFrameApi& api, Object state) {
  Frames frames;
  if (api.error() != nullptr) return frames;  // the host's own error must survive
  const int collected = api.gc_disable();
  Object frame = api.frame_of(state);
  while (frame != nullptr && frames.size() < kMaxPythonFrames) {
    frames.push_back(Describe(api, frame));
    Object caller = api.caller_of(frame);
    api.release(frame);
    frame = caller;
  }
  if (frame != nullptr) api.release(frame);
  if (collected != 0) api.gc_enable();
  return frames;
}

// Shared by the caller and the thread that asks for the GIL; the last to leave deletes it.
struct WalkJob {
  PythonFrameApi api;
  Object state = nullptr;
  std::mutex mutex;
  std::condition_variable changed;
  bool wanted = true;    // the caller still stands where its frames were asked for
  bool walking = false;  // and must stay there
  bool done = false;
  Frames frames;
  std::atomic<int> owners{2};
};

void Leave(WalkJob* job) {
  if (job->owners.fetch_sub(1) == 1) delete job;
}

// Under the GIL.
void WalkForCaller(WalkJob* job) noexcept {
  {
    const std::lock_guard lock(job->mutex);
    if (!job->wanted) return;
    job->walking = true;
  }
  Frames frames;
  try {
    frames = Walk(job->api, job->state);
  } catch (...) {  // out of memory: no frames
  }
  const std::lock_guard lock(job->mutex);
  job->frames = std::move(frames);
  job->done = true;
  job->changed.notify_all();
}

void WalkAndLeave(void* argument) noexcept {
  WalkJob* job = static_cast<WalkJob*>(argument);
  WalkForCaller(job);
  Leave(job);
}

// Nothing: the GIL did not come in time.
std::optional<Frames> WalkByOther(const PythonFrameApi& api, Object state,
                                  std::chrono::milliseconds limit) {
  auto owned = std::make_unique<WalkJob>();
  owned->api = api;
  owned->state = state;
  if (!StartUnderGil(api.gil, WalkAndLeave, owned.get())) return std::nullopt;
  WalkJob* job = owned.release();
  std::optional<Frames> frames;
  {
    std::unique_lock lock(job->mutex);
    job->changed.wait_for(lock, limit, [job] { return job->walking || job->done; });
    // A walk takes microseconds, and whoever walks has the GIL: it cannot be held up.
    if (job->walking) job->changed.wait(lock, [job] { return job->done; });
    job->wanted = false;
    if (job->done) frames = std::move(job->frames);
  }
  Leave(job);
  return frames;
}

std::optional<PythonFrameApi> KnownApi() {
  static std::mutex mutex;
  static std::optional<PythonFrameApi> api;
  const std::lock_guard lock(mutex);
  if (!api) api = FindPythonFrames();  // again: Python may be loaded later
  return api;
}

Frames Collect(std::chrono::milliseconds limit) {
  static std::atomic<int> misses{0};
  const std::optional<PythonFrameApi> api = KnownApi();
  if (!api || api->is_initialised() == 0) return {};
  Object own = api->own_state();
  if (own == nullptr) return {};
  if (api->running_state() == own) return Walk(*api, own);
  if (misses.load(std::memory_order_relaxed) >= kMaxMisses) return {};
  std::optional<Frames> frames = WalkByOther(*api, own, limit);
  misses.store(frames ? 0 : misses.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  return std::move(frames).value_or(Frames());
}

}  // namespace

Frames PythonFramesHere(std::chrono::milliseconds limit) {
  const int saved_errno = errno;
  Frames frames = Collect(limit);
  errno = saved_errno;
  return frames;
}

}  // namespace lamplight::stacks
