// One rank's end of the communicator: its buffer of three generations, its flag words, and the
// buffers of its peers, mapped through CUDA IPC or shared between threads.
//
// Constructed by all ranks together (it meets them at the rendezvous); used by its rank's thread
// only.
#pragma once

#include <cstdint>
#include <vector>

#include "collective.h"
#include "device_memory.h"
#include "options.h"
#include "rendezvous.h"

namespace piecewise {

class Workspace {
 public:
  Workspace(const Options& options, int rank, Rendezvous& rendezvous);

  Endpoint endpoint() const;
  static uint32_t BytesPerGeneration(const Options& options);

 private:
  void Initialise(const Options& options) const;
  void* OpenPeer(RankSeat& seat);

  int rank_;
  int world_;
  uint32_t generation_bytes_;
  DeviceBuffer<uint32_t> buffer_;
  DeviceBuffer<uint32_t> flags_;
  DeviceBuffer<void*> peers_;
  std::vector<IpcMapping> mappings_;
};

}  // namespace piecewise
