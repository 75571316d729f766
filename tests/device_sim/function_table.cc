// Thread-safe: one reader-writer lock.
#include "tests/device_sim/function_table.h"

#include <pthread.h>

#include <chrono>
#include <cstdio>
#include <mutex>
#include <new>
#include <set>
#include <shared_mutex>
#include <thread>
#include <unordered_map>

#include "tests/device_sim/config.h"
#include "tests/device_sim/kernel_launch.h"

namespace device_sim {
namespace {

struct Table {
  std::shared_mutex mutex;
  std::unordered_map<const void*, Kernel*> by_name;
};

// A child that is forked while others read must not find the lock taken: it looks up kernels, and
// forgets them at its end. Its lock is a new one: this one knows its writer by the thread's id,
// which is another there.
Table& TheTable() {
  static Table& table = []() -> Table& {
    pthread_atfork([] { TheTable().mutex.lock(); }, [] { TheTable().mutex.unlock(); },
                   [] { new (&TheTable().mutex) std::shared_mutex; });
    return *new Table;
  }();
  return table;
}

void ReportMissing(const std::string& symbol) {
  static std::mutex mutex;
  static std::set<std::string>& reported = *new std::set<std::string>;
  const std::lock_guard lock(mutex);
  if (!reported.insert(symbol).second) return;
  std::fprintf(stderr,
               "device_sim: no body for kernel %s: register one in tests/device_sim/kernels\n",
               symbol.c_str());
}

}  // namespace

Kernel* LookUpKernel(const void* name) {
  Table& table = TheTable();
  const std::shared_lock lock(table.mutex);
  const auto found = table.by_name.find(name);
  return found == table.by_name.end() ? nullptr : found->second;
}

void WaitToLoad() {
  if (!TheConfig()->lazy_loading) return;
  while (AnyKernelPolls()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void Kernel::Load() {
  if (loaded_) return;
  WaitToLoad();
  loaded_ = true;
}

Status MakeRunnable(Kernel& kernel) {
  if (kernel.entry() == nullptr) {
    ReportMissing(kernel.symbol());
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  kernel.Load();
  return kOk;
}

Kernel* AddKernel(std::string symbol, const void* host_function) {
  auto* kernel = new Kernel(std::move(symbol), host_function);
  Table& table = TheTable();
  const std::unique_lock lock(table.mutex);
  table.by_name[kernel->kernel_handle()] = kernel;
  table.by_name[kernel->function_handle()] = kernel;
  if (host_function != nullptr) table.by_name[host_function] = kernel;
  return kernel;
}

void ForgetHostFunctions(const std::vector<const void*>& host_functions) {
  Table& table = TheTable();
  const std::unique_lock lock(table.mutex);
  for (const void* function : host_functions) table.by_name.erase(function);
}

Status ParameterOf(const Kernel& kernel, size_t index, size_t* offset, size_t* size) {
  if (offset == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (kernel.entry() == nullptr || index >= kernel.entry()->parameters.size()) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  *offset = kernel.entry()->parameters[index].offset;
  if (size != nullptr) *size = kernel.entry()->parameters[index].size;
  return kOk;
}

}  // namespace device_sim
