#include "kernels/host/transport.h"

#include "kernels/host/copies.h"
#include "kernels/host/fabric_buffer.h"
#include "kernels/host/ipc_buffer.h"

namespace lamplight::kernels {
namespace {

class IpcTransport final : public Transport {
 public:
  IpcTransport(const Settings& settings, const BufferLayout& layout)
      : world_(settings.capacity.world), rank_(settings.rank), layout_(layout) {}

  Status Allocate(std::shared_ptr<Buffer>* buffer) override {
    LAMPLIGHT_TRY(IpcBuffer::Allocate(layout_, world_, &own_));
    *buffer = own_;
    return {};
  }
  Status Describe(Offer* offer) override {
    offer->token = own_->token();
    return own_->Export(&offer->buffer);
  }
  // CUDA IPC does not open handles of the same process.
  Status Open(const Offer& mine, const Offer& peer, Mapping* mapping) override {
    return peer.process.IsSameProcess(mine.process) ? FindBuffer(peer.token, mapping)
                                                    : OpenIpc(peer.buffer, layout_, rank_, mapping);
  }
  Status Join(const Offer&) override { return {}; }
  Status Bind(void**) override { return {}; }
  void Abandon() override {
    if (own_ != nullptr) own_->Abandon();
  }

 private:
  uint32_t world_;
  uint32_t rank_;
  BufferLayout layout_;
  std::shared_ptr<IpcBuffer> own_;
};

class FabricTransport final : public Transport {
 public:
  FabricTransport(const Settings& settings, const BufferLayout& layout,
                  std::unique_ptr<Fabric> fabric)
      : world_(settings.capacity.world),
        rank_(settings.rank),
        bytes_(layout.bytes),
        fabric_(std::move(fabric)) {
    if (settings.multicast) multicast_ = std::make_unique<Multicast>(*fabric_);
  }

  Status Allocate(std::shared_ptr<Buffer>* buffer) override {
    LAMPLIGHT_TRY(fabric_->Allocate(bytes_, &own_));
    Copies copies;
    LAMPLIGHT_TRY(copies.Open());
    LAMPLIGHT_TRY(copies.Fill(own_->address(), 0, bytes_));
    *buffer = own_;
    return {};
  }
  Status Describe(Offer* offer) override {
    offer->token = RandomToken();
    LAMPLIGHT_TRY(own_->Export(&offer->buffer));
    if (multicast_ == nullptr || rank_ != 0) return {};
    return multicast_->Make(world_, bytes_, &offer->multicast_object);
  }
  Status Open(const Offer&, const Offer& peer, Mapping* mapping) override {
    return fabric_->Open(peer.buffer, bytes_, mapping);
  }
  Status Join(const Offer& first) override {
    if (multicast_ == nullptr) return {};
    if (rank_ != 0) LAMPLIGHT_TRY(multicast_->Open(first.multicast_object, bytes_));
    return multicast_->Join();
  }
  Status Bind(void** address) override {
    if (multicast_ == nullptr) return {};
    LAMPLIGHT_TRY(multicast_->Bind(*own_));
    *address = multicast_->address();
    return {};
  }
  // The driver keeps physical memory as long as anyone maps it.
  void Abandon() override {}

 private:
  uint32_t world_;
  uint32_t rank_;
  uint64_t bytes_;
  std::unique_ptr<Fabric> fabric_;
  std::shared_ptr<Buffer> own_;
  std::unique_ptr<Multicast> multicast_;
};

}  // namespace

Status MakeTransport(const Settings& settings, const BufferLayout& layout, int device,
                     std::unique_ptr<Transport>* transport) {
  if (settings.memory == LAMPLIGHT_MEMORY_IPC) {
    *transport = std::make_unique<IpcTransport>(settings, layout);
    return {};
  }
  std::unique_ptr<Fabric> fabric;
  LAMPLIGHT_TRY(Fabric::Open(device, settings.multicast, &fabric));
  *transport = std::make_unique<FabricTransport>(settings, layout, std::move(fabric));
  return {};
}

}  // namespace lamplight::kernels
