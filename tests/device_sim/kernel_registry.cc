// The table of kernel bodies behind sim_kernel.h. Thread-safe: filled before main(), by library
// constructors, and read under the same lock.
#include <deque>
#include <mutex>

#include "tests/device_sim/sim_kernel.h"

namespace device_sim {
namespace {

// Never destroyed: stream threads may still run kernels while the process exits.
struct Registry {
  std::mutex mutex;
  std::deque<KernelEntry> entries;  // addresses are stable
};

Registry& TheRegistry() {
  static Registry& registry = *new Registry;
  return registry;
}

}  // namespace

void RegisterKernel(KernelEntry entry) {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  registry.entries.push_back(std::move(entry));
}

const KernelEntry* FindKernel(std::string_view symbol) {
  Registry& registry = TheRegistry();
  const std::lock_guard lock(registry.mutex);
  const KernelEntry* best = nullptr;
  for (const KernelEntry& entry : registry.entries) {
    if (!symbol.starts_with(entry.prefix)) continue;
    if (best == nullptr || entry.prefix.size() > best->prefix.size()) best = &entry;
  }
  return best;
}

}  // namespace device_sim
