#include "kernels/host/workspace.h"

#include <algorithm>

#include "kernels/host/copies.h"
#include "kernels/host/device_scope.h"

namespace lamplight::kernels {

Workspace::~Workspace() {
  const DeviceScope scope(device);
  transport.reset();
  while (!peers.empty()) peers.pop_back();
  buffer.reset();
  peer_table = {};
  state = {};
  diagnostic = {};
}

Status Workspace::PrepareDevice(uint32_t multiprocessors) {
  LAMPLIGHT_TRY(ReadLimits(device, &limits));
  limits.share = multiprocessors;
  if (limits.share > limits.processors) {
    return Error(LAMPLIGHT_ERROR_VALUE,
                 "options->multiprocessors is %u and device %d has %u: give how many of them calls "
                 "may run on, or 0",
                 multiprocessors, device, limits.processors);
  }
  LAMPLIGHT_TRY(LoadKernels(capacity.protocol, capacity.world, device, &kernels));
  LAMPLIGHT_TRY(diagnostic.Allocate(sizeof(Diagnostic)));
  common.diagnostic = static_cast<Diagnostic*>(diagnostic.device());
  return {};
}

Status Workspace::SetPeers(void* const* addresses) {
  const uint32_t world = capacity.world;
  if (world <= kInlinePeers) {
    std::copy(addresses, addresses + world, common.peer);
    return {};
  }
  Copies copies;
  LAMPLIGHT_TRY(copies.Open());
  LAMPLIGHT_TRY(peer_table.Allocate(world * sizeof(void*)));
  LAMPLIGHT_TRY(copies.Copy(peer_table.get(), addresses, world * sizeof(void*)));
  common.peer_table = static_cast<void* const*>(peer_table.get());
  return {};
}

}  // namespace lamplight::kernels
