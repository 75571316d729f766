// A host may cancel one of its threads while that is inside a hook. The shim's own part is not left
// half-way then, and does not answer by ending the process, as what is noexcept would; the host's
// own call may be left, as without the shim.
#pragma once

#include <pthread.h>

namespace lamplight::shim {

// No cancellation is acted upon by this thread while it lives. Nests.
class NoCancel {
 public:
  NoCancel() noexcept { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &saved_); }
  ~NoCancel() {
    int ours = 0;
    pthread_setcancelstate(saved_, &ours);
  }
  NoCancel(const NoCancel&) = delete;
  NoCancel& operator=(const NoCancel&) = delete;

 private:
  int saved_ = PTHREAD_CANCEL_ENABLE;
};

}  // namespace lamplight::shim
