// libcupti: subscribing to callbacks of the driver API. Thin C entries; thread-safe.
#include "tests/device_sim/tool_callbacks.h"

using namespace device_sim;  // NOLINT(google-build-using-namespace): entries only

extern "C" {

cupti::Result cuptiSubscribe(cupti::Subscriber* subscriber, cupti::Callback callback, void* user) {
  return Subscribe(subscriber, callback, user);
}

cupti::Result cuptiUnsubscribe(cupti::Subscriber subscriber) { return Unsubscribe(subscriber); }

cupti::Result cuptiEnableCallback(uint32_t enable, cupti::Subscriber subscriber, int domain,
                                  uint32_t id) {
  return EnableCallback(enable != 0, subscriber, domain, id);
}

cupti::Result cuptiGetVersion(uint32_t* version) {
  if (version == nullptr) return cupti::kInvalidParameter;
  *version = 130000;
  return cupti::kSuccess;
}

cupti::Result cuptiGetResultString(cupti::Result result, const char** text) {
  if (text == nullptr) return cupti::kInvalidParameter;
  switch (result) {
    case cupti::kSuccess:
      *text = "CUPTI_SUCCESS";
      return cupti::kSuccess;
    case cupti::kInvalidParameter:
      *text = "CUPTI_ERROR_INVALID_PARAMETER";
      return cupti::kSuccess;
    case cupti::kMultipleSubscribers:
      *text = "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED";
      return cupti::kSuccess;
    default:
      return cupti::kInvalidParameter;
  }
}

}  // extern "C"
