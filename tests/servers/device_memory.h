// Owning wrappers of CUDA allocations, stream and graph exec. One thread uses one object; the
// device is the one current at construction.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <span>
#include <utility>

#include "cuda_check.h"

namespace piecewise {

// Invariant: owns the handle or is empty.
template <class Handle, auto Release>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, Handle{})) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != Handle{}) static_cast<void>(Release(handle_));
  }
  Handle get() const { return handle_; }

 private:
  Handle handle_{};
};

using Stream = Owned<cudaStream_t, cudaStreamDestroy>;
using GraphExec = Owned<cudaGraphExec_t, cudaGraphExecDestroy>;
using Graph = Owned<cudaGraph_t, cudaGraphDestroy>;
using IpcMapping = Owned<void*, cudaIpcCloseMemHandle>;

inline Stream MakeStream() {
  cudaStream_t stream = nullptr;
  PIECEWISE_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return Stream(stream);
}

template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(size_t count) : count_(count) {
    void* pointer = nullptr;
    PIECEWISE_CHECK(cudaMalloc(&pointer, count * sizeof(T)));
    memory_ = Memory(pointer);
    PIECEWISE_CHECK(cudaMemset(pointer, 0, count * sizeof(T)));
  }
  T* get() const { return static_cast<T*>(memory_.get()); }
  size_t count() const { return count_; }
  void CopyFrom(std::span<const T> source) const {
    PIECEWISE_CHECK(cudaMemcpy(get(), source.data(), source.size_bytes(), cudaMemcpyHostToDevice));
  }

 private:
  using Memory = Owned<void*, cudaFree>;
  Memory memory_;
  size_t count_ = 0;
};

template <class T>
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(size_t count) : count_(count) {
    void* pointer = nullptr;
    PIECEWISE_CHECK(cudaHostAlloc(&pointer, count * sizeof(T), cudaHostAllocDefault));
    memory_ = Memory(pointer);
  }
  T* get() const { return static_cast<T*>(memory_.get()); }
  std::span<T> first(size_t count) const { return {get(), count}; }

 private:
  using Memory = Owned<void*, cudaFreeHost>;
  Memory memory_;
  size_t count_ = 0;
};

}  // namespace piecewise
