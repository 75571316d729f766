// Which process and host a rank is. Thread-safe.
#pragma once

#include <cstdint>

namespace lamplight::kernels {

inline constexpr uint32_t kBootIdBytes = 40;

// Plain bytes, exchanged between the ranks.
struct ProcessIdentity {
  uint64_t nonce;  // random, of this process and the children it forks
  int64_t pid;
  char boot[kBootIdBytes];  // of the kernel that runs; empty where it is not known

  bool IsSameProcess(const ProcessIdentity& other) const;
  bool IsSameHost(const ProcessIdentity& other) const;
};

ProcessIdentity ThisProcess();
uint64_t RandomToken();  // never 0

}  // namespace lamplight::kernels
