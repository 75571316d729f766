#include "kernels/host/copies.h"

#include <algorithm>
#include <vector>

namespace lamplight::kernels {

Copies::~Copies() {
  if (stream_ != nullptr) static_cast<void>(cudaStreamDestroy(stream_));
}

Status Copies::Open() {
  LAMPLIGHT_TRY_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  return {};
}

Status Copies::Start(void* to, const void* from, size_t bytes) {
  LAMPLIGHT_TRY_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_));
  return {};
}

Status Copies::Copy(void* to, const void* from, size_t bytes) {
  LAMPLIGHT_TRY(Start(to, from, bytes));
  return Wait();
}

Status Copies::Zero(void* to, size_t bytes) {
  LAMPLIGHT_TRY_CUDA(cudaMemsetAsync(to, 0, bytes, stream_));
  return Wait();
}

Status Copies::Fill(void* to, uint32_t word, size_t bytes) {
  // The runtime sets bytes only: one piece comes from the host, the others double it.
  constexpr size_t kPieceBytes = 1u << 20;
  const std::vector<uint32_t> piece(std::min(kPieceBytes, bytes) / sizeof word, word);
  size_t done = piece.size() * sizeof word;
  LAMPLIGHT_TRY(Copy(to, piece.data(), done));
  auto* start = static_cast<char*>(to);
  while (done < bytes) {
    const size_t next = std::min(done, bytes - done);
    LAMPLIGHT_TRY_CUDA(cudaMemcpyAsync(start + done, start, next, cudaMemcpyDefault, stream_));
    done += next;
  }
  return Wait();
}

Status Copies::Wait() {
  LAMPLIGHT_TRY_CUDA(cudaStreamSynchronize(stream_));
  return {};
}

}  // namespace lamplight::kernels
