// Thread-safe: the nonce is drawn once.
#include "kernels/host/process.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <random>

namespace lamplight::kernels {
namespace {

void ReadBootId(char (&boot)[kBootIdBytes]) {
  std::FILE* file = std::fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file == nullptr) return;
  if (std::fgets(boot, sizeof boot, file) == nullptr) boot[0] = '\0';
  std::fclose(file);
  boot[std::strcspn(boot, "\n")] = '\0';
}

}  // namespace

bool ProcessIdentity::IsSameHost(const ProcessIdentity& other) const {
  const bool known = boot[0] != '\0' && other.boot[0] != '\0';
  return !known || std::strncmp(boot, other.boot, sizeof boot) == 0;
}

// Containers have process ids of their own, so these alone do not tell processes apart.
bool ProcessIdentity::IsSameProcess(const ProcessIdentity& other) const {
  return nonce == other.nonce && pid == other.pid && IsSameHost(other);
}

ProcessIdentity ThisProcess() {
  static const uint64_t nonce = RandomToken();
  ProcessIdentity identity{};
  identity.nonce = nonce;
  identity.pid = getpid();
  ReadBootId(identity.boot);
  return identity;
}

uint64_t RandomToken() {
  std::random_device device;
  uint64_t token = 0;
  while (token == 0) token = uint64_t{device()} << 32 | device();
  return token;
}

}  // namespace lamplight::kernels
