// Finds and loads CUPTI, of CUDA 12 or 13, where servers have it.
//
// The library stays loaded. Not thread-safe: the one caller holds its own lock.
#pragma once

#include <string>
#include <vector>

#include "shim/cupti/abi.h"

namespace lamplight::shim::cupti {

namespace abi = lamplight::cupti;

struct Library {
  std::string path;
  uint32_t version = 0;  // CUPTI_API_VERSION of the library; 0: it did not say

  abi::Result (*Subscribe)(abi::Subscriber*, abi::Callback, void* user) = nullptr;
  abi::Result (*Unsubscribe)(abi::Subscriber) = nullptr;
  abi::Result (*EnableCallback)(uint32_t enable, abi::Subscriber, int domain,
                                uint32_t id) = nullptr;
  abi::Result (*GetResultString)(abi::Result, const char**) = nullptr;

  // "CUPTI_ERROR_…", or the number.
  std::string Name(abi::Result result) const;
};

// Files that may be CUPTI, best first: the one that is loaded already; those beside the loaded
// libcudart; what the loader finds by itself; packages of the Python environment; CUDA_HOME,
// CUDA_PATH and /usr/local/cuda. A name without '/' is for the loader to find.
std::vector<std::string> Candidates();

// Loads `wanted`, a path, or where that is empty the first candidate that loads. False with `why`
// set, in words that name the fix.
bool Load(const std::string& wanted, Library* out, std::string* why);

}  // namespace lamplight::shim::cupti
