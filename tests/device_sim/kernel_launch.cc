// Thread-safe but for the contexts, which belong to one launch.
#include "tests/device_sim/kernel_launch.h"

#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "tests/device_sim/memory.h"

namespace device_sim {
namespace {

struct Unwind {};  // thrown through kernel bodies when the device is torn down

std::atomic<int> polling_kernels{0};

constexpr unsigned kYields = 200;     // then the peer is not about to answer
constexpr unsigned kLongPoll = 2000;  // polls after which the kernel counts as spinning
constexpr long kShortestSleepNs = 20'000;
constexpr long kLongestSleepNs = 100'000;

class LaunchContext final : public KernelContext {
 public:
  LaunchContext(const KernelCall& call, const std::function<void()>& while_polling)
      : call_(call), while_polling_(while_polling) {}
  ~LaunchContext() override {
    if (polls_ >= kLongPoll) polling_kernels.fetch_sub(1);
  }

  std::string_view symbol() const override { return call_.kernel->symbol(); }
  Dim3 grid() const override { return call_.grid; }
  Dim3 block() const override { return call_.block; }
  unsigned cluster_size() const override { return call_.cluster_size(); }
  unsigned shared_bytes() const override { return call_.shared_bytes; }
  uint64_t global_timer_ns() const override { return GlobalTimerNs(); }

  void CheckReach(uint64_t address) const override {
    const auto allocation = FindAllocation(address);
    if (!allocation || !allocation->on_device()) return;
    const Device& device = call_.context->device();
    if (allocation->device != &device) {
      if (device.HasPeer(allocation->device->ordinal)) return;
      throw std::runtime_error("an access to memory of a device that is no peer");
    }
    if (allocation->context != &call_.context->memory()) {
      throw std::runtime_error("an access to memory of another context");
    }
  }

  void Relax() override {
    if (TornDown()) throw Unwind{};
    while_polling_();
    if (polls_ < kLongPoll && ++polls_ == kLongPoll) polling_kernels.fetch_add(1);
    if (polls_ < kYields) {
      sched_yield();
      return;
    }
    const long backoff = kShortestSleepNs * static_cast<long>(1 + (polls_ - kYields) / 16);
    const timespec pause{0, std::min(backoff, kLongestSleepNs)};
    nanosleep(&pause, nullptr);
  }

 private:
  const KernelCall& call_;
  const std::function<void()>& while_polling_;
  unsigned polls_ = 0;
};

size_t BytesOf(const std::vector<Parameter>& layout) {
  return layout.empty() ? 0 : layout.back().offset + layout.back().size;
}

// CU_LAUNCH_PARAM_* keys name a packed buffer and its size.
bool ReadExtra(void* const* extra, const void** buffer, size_t* bytes) {
  for (; extra[0] != CU_LAUNCH_PARAM_END; extra += 2) {
    if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER) *buffer = extra[1];
    if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE) *bytes = *static_cast<const size_t*>(extra[1]);
  }
  return *buffer != nullptr;
}

Status CopyPacked(const std::vector<Parameter>& layout, void* const* extra, ParameterBlock* block) {
  const void* buffer = nullptr;
  size_t bytes = 0;
  if (!ReadExtra(extra, &buffer, &bytes) || bytes < BytesOf(layout)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  std::memcpy(block->bytes.data(), buffer, block->bytes.size());
  block->packed_size = block->bytes.size();
  block->packed = {CU_LAUNCH_PARAM_BUFFER_POINTER, block->bytes.data(), CU_LAUNCH_PARAM_BUFFER_SIZE,
                   &block->packed_size, CU_LAUNCH_PARAM_END};
  return kOk;
}

Status CopyOneByOne(const std::vector<Parameter>& layout, void* const* arguments,
                    ParameterBlock* block) {
  for (size_t i = 0; i < layout.size(); ++i) {
    if (arguments == nullptr || arguments[i] == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(block->bytes.data() + layout[i].offset, arguments[i], layout[i].size);
  }
  return kOk;
}

bool IsZero(const Dim3& dim) { return dim.x == 0 || dim.y == 0 || dim.z == 0; }

}  // namespace

const CUlaunchAttribute* KernelCall::Find(CUlaunchAttributeID id) const {
  const auto found = std::ranges::find(attributes, id, &CUlaunchAttribute::id);
  return found == attributes.end() ? nullptr : &*found;
}

bool KernelCall::programmatic() const {
  const CUlaunchAttribute* attribute = Find(CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
  return attribute != nullptr && attribute->value.programmaticStreamSerializationAllowed != 0;
}

unsigned KernelCall::cluster_size() const {
  const CUlaunchAttribute* attribute = Find(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
  if (attribute == nullptr) return 1;
  const auto& dim = attribute->value.clusterDim;
  return dim.x * dim.y * dim.z;
}

Status CopyParameters(const Kernel& kernel, void* const* arguments, void* const* extra,
                      std::shared_ptr<const ParameterBlock>* out) {
  const std::vector<Parameter>& layout = kernel.entry()->parameters;
  auto block = std::make_shared<ParameterBlock>();
  block->bytes.resize(BytesOf(layout));
  for (const Parameter& parameter : layout) {
    block->pointers.push_back(block->bytes.data() + parameter.offset);
  }
  SIM_TRY(extra != nullptr ? CopyPacked(layout, extra, block.get())
                           : CopyOneByOne(layout, arguments, block.get()));
  *out = std::move(block);
  return kOk;
}

Status CheckShape(const KernelCall& call) {
  constexpr unsigned kMaxThreads = 1024;
  constexpr unsigned kMaxCluster = 16;  // 8 is portable; 16 by opting in
  if (IsZero(call.grid) || IsZero(call.block)) return CUDA_ERROR_INVALID_VALUE;
  if (call.grid.y > 65535 || call.grid.z > 65535 || call.block.z > 64) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  const uint64_t threads = uint64_t{call.block.x} * call.block.y * call.block.z;
  if (threads > kMaxThreads) return CUDA_ERROR_INVALID_VALUE;
  const CUlaunchAttribute* cluster = call.Find(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
  if (cluster == nullptr) return kOk;
  const auto& dim = cluster->value.clusterDim;
  if (dim.x == 0 || dim.y == 0 || dim.z == 0) return CUDA_ERROR_INVALID_VALUE;
  if (call.grid.x % dim.x != 0 || call.grid.y % dim.y != 0 || call.grid.z % dim.z != 0) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  return call.cluster_size() <= kMaxCluster ? kOk : CUDA_ERROR_INVALID_CLUSTER_SIZE;
}

Status RunKernel(const KernelCall& call, const std::function<void()>& while_polling) {
  LaunchContext context(call, while_polling);
  call.kernel->entry()->body(context, call.parameters->bytes.data());
  return kOk;
}

bool AnyKernelPolls() { return polling_kernels.load() > 0; }

Status RunGuarded(Device& device, const std::function<Status()>& run) {
  if (TornDown()) ParkThread();
  if (device.failure() != kOk) return device.failure();
  try {
    const Status status = run();
    if (status != kOk) device.Fail(status);
    return status;
  } catch (const Unwind&) {
    ParkThread();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "device_sim: a kernel failed: %s\n", error.what());
  }
  device.Fail(CUDA_ERROR_LAUNCH_FAILED);
  return CUDA_ERROR_LAUNCH_FAILED;
}

}  // namespace device_sim
