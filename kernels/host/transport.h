// How the buffers of all ranks come about and reach each other, for one kind of memory.
//
// One thread uses one object, which lives as long as the workspace.
#pragma once

#include <memory>

#include "kernels/host/buffer.h"
#include "kernels/host/offer.h"
#include "kernels/host/settings.h"

namespace lamplight::kernels {

class Transport {
 public:
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // This rank's buffer on the current device, all zero.
  virtual Status Allocate(std::shared_ptr<Buffer>* buffer) = 0;
  // What the others must know of it.
  virtual Status Describe(Offer* offer) = 0;
  // The buffer of another rank.
  virtual Status Open(const Offer& mine, const Offer& peer, Mapping* mapping) = 0;
  // Multicast, where it was asked for: all ranks join, and when all have, all bind.
  virtual Status Join(const Offer& first) = 0;
  virtual Status Bind(void** multicast) = 0;
  // The ranks have lost each other: some may open this rank's buffer at any time to come.
  virtual void Abandon() = 0;

 protected:
  Transport() = default;
};

Status MakeTransport(const Settings& settings, const BufferLayout& layout, int device,
                     std::unique_ptr<Transport>* transport);

}  // namespace lamplight::kernels
