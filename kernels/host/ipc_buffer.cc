// Thread-safe: the tables of live buffers and of those set aside have a lock each, never held
// across a CUDA call that can wait for a kernel.
#include "kernels/host/ipc_buffer.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "kernels/host/copies.h"
#include "kernels/host/device_scope.h"
#include "kernels/host/process.h"

namespace lamplight::kernels {
namespace {

static_assert(sizeof(cudaIpcMemHandle_t) == kHandleBytes);

struct LiveBuffers {
  std::mutex mutex;
  std::map<uint64_t, std::weak_ptr<IpcBuffer>> by_token;
};

LiveBuffers& Live() {
  static LiveBuffers& live = *new LiveBuffers;
  return live;
}

// Memory whose owner is gone.
struct Leftover {
  void* address;
  int device;
  uint64_t lease_offset;
  uint32_t world;
};

struct Leftovers {
  std::mutex mutex;
  std::vector<Leftover> all;
};

Leftovers& SetAside() {
  static Leftovers& leftovers = *new Leftovers;
  return leftovers;
}

char* At(void* address, uint64_t offset) { return static_cast<char*>(address) + offset; }

// True when no other process maps it; false also where that cannot be read.
bool IsUnleased(const Leftover& memory) {
  Copies copies;
  std::vector<uint32_t> leases(memory.world);
  const size_t bytes = leases.size() * sizeof(uint32_t);
  if (!copies.Open().ok()) return false;
  if (!copies.Copy(leases.data(), At(memory.address, memory.lease_offset), bytes).ok())
    return false;
  return std::ranges::all_of(leases, [](uint32_t lease) { return lease == 0; });
}

bool FreeIfUnleased(const Leftover& memory) {
  const DeviceScope scope(memory.device);
  if (!IsUnleased(memory)) return false;
  static_cast<void>(FromCuda(cudaFree(memory.address), "cudaFree"));
  return true;
}

// The other end of a lease. Invariant: owns one opening of the handle.
struct OpenedHandle {
  void* address;
  int device;
  uint64_t lease;

  void operator()(void*) const {
    const DeviceScope scope(device);
    Copies copies;
    if (copies.Open().ok()) static_cast<void>(copies.Zero(At(address, lease), sizeof(uint32_t)));
    static_cast<void>(FromCuda(cudaIpcCloseMemHandle(address), "cudaIpcCloseMemHandle"));
  }
};

Status ReachDevice(int peer) {
  int current = 0;
  LAMPLIGHT_TRY_CUDA(cudaGetDevice(&current));
  if (peer == current) return {};
  int can = 0;
  LAMPLIGHT_TRY_CUDA(cudaDeviceCanAccessPeer(&can, current, peer));
  if (can == 0) {
    return Error(LAMPLIGHT_ERROR_UNSUPPORTED,
                 "device %d cannot reach the memory of device %d: use devices of one NVLink domain",
                 current, peer);
  }
  const cudaError_t code = cudaDeviceEnablePeerAccess(peer, 0);
  if (code != cudaErrorPeerAccessAlreadyEnabled)
    return FromCuda(code, "cudaDeviceEnablePeerAccess");
  static_cast<void>(cudaGetLastError());
  return {};
}

}  // namespace

Status IpcBuffer::Allocate(const BufferLayout& layout, uint32_t world,
                           std::shared_ptr<IpcBuffer>* buffer) {
  FreeUnleased();
  std::shared_ptr<IpcBuffer> made(new IpcBuffer);
  made->layout_ = layout;
  made->world_ = world;
  made->token_ = RandomToken();
  LAMPLIGHT_TRY_CUDA(cudaGetDevice(&made->device_));
  const cudaError_t code = cudaMalloc(&made->address_, layout.bytes);
  if (code == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    return Error(LAMPLIGHT_ERROR_OUT_OF_MEMORY,
                 "device %d has no %llu bytes left for the buffer: lower max_tokens or max_hidden",
                 made->device_, static_cast<unsigned long long>(layout.bytes));
  }
  LAMPLIGHT_TRY(FromCuda(code, "cudaMalloc"));
  Copies copies;
  LAMPLIGHT_TRY(copies.Open());
  LAMPLIGHT_TRY(copies.Zero(made->address_, layout.bytes));
  LiveBuffers& live = Live();
  const std::lock_guard lock(live.mutex);
  live.by_token[made->token_] = made;
  *buffer = std::move(made);
  return {};
}

IpcBuffer::~IpcBuffer() {
  {
    LiveBuffers& live = Live();
    const std::lock_guard lock(live.mutex);
    live.by_token.erase(token_);
  }
  if (address_ == nullptr || abandoned_) return;
  const Leftover memory{address_, device_, layout_.lease_offset, world_};
  if (FreeIfUnleased(memory)) return;
  Leftovers& leftovers = SetAside();
  const std::lock_guard lock(leftovers.mutex);
  leftovers.all.push_back(memory);
}

Status IpcBuffer::Export(BufferHandle* handle) const {
  cudaIpcMemHandle_t exported;
  LAMPLIGHT_TRY_CUDA(cudaIpcGetMemHandle(&exported, address_));
  std::memcpy(handle->bytes, &exported, sizeof exported);
  return {};
}

Status FindBuffer(uint64_t token, Mapping* mapping) {
  std::shared_ptr<IpcBuffer> found;
  {
    LiveBuffers& live = Live();
    const std::lock_guard lock(live.mutex);
    const auto place = live.by_token.find(token);
    if (place != live.by_token.end()) found = place->second.lock();
  }
  if (found == nullptr) {
    return Error(LAMPLIGHT_ERROR_PEER, "a rank of this process has given its buffer up already");
  }
  LAMPLIGHT_TRY(ReachDevice(found->device()));
  *mapping = Mapping(found, found->address());
  return {};
}

Status OpenIpc(const BufferHandle& handle, const BufferLayout& layout, uint32_t rank,
               Mapping* mapping) {
  OpenedHandle opened{};
  opened.lease = layout.lease_offset + rank * sizeof(uint32_t);
  LAMPLIGHT_TRY_CUDA(cudaGetDevice(&opened.device));
  cudaIpcMemHandle_t imported;
  std::memcpy(&imported, handle.bytes, sizeof imported);
  LAMPLIGHT_TRY_CUDA(
      cudaIpcOpenMemHandle(&opened.address, imported, cudaIpcMemLazyEnablePeerAccess));
  *mapping = Mapping(opened.address, opened);
  Copies copies;
  LAMPLIGHT_TRY(copies.Open());
  const uint32_t lease = 1;
  return copies.Copy(At(opened.address, opened.lease), &lease, sizeof lease);
}

size_t FreeUnleased() {
  std::vector<Leftover> looked_at;
  Leftovers& leftovers = SetAside();
  {
    const std::lock_guard lock(leftovers.mutex);
    looked_at.swap(leftovers.all);
  }
  std::erase_if(looked_at, FreeIfUnleased);
  const std::lock_guard lock(leftovers.mutex);
  leftovers.all.insert(leftovers.all.end(), looked_at.begin(), looked_at.end());
  return leftovers.all.size();
}

}  // namespace lamplight::kernels
