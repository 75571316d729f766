// A workspace: everything that calls on it have in common, and the resources behind it.
//
// Immutable after creation but for the diagnostic, which kernels write and the host reads. Calls
// from several threads are safe as far as the host is concerned.
#pragma once

#include <memory>
#include <vector>

#include "kernels/host/blocks.h"
#include "kernels/host/buffer.h"
#include "kernels/host/device.h"
#include "kernels/host/settings.h"
#include "kernels/host/transport.h"

namespace lamplight::kernels {

// Invariant once created: `common` describes live memory of all ranks, `kernels` are loaded.
struct Workspace {
  CollectiveCall common{};  // what every call is told
  Capacity capacity{};
  Patience patience;
  DeviceLimits limits;
  KernelSet kernels;
  int device = 0;
  // Destroyed last to first: mappings of peers before the own buffer.
  MappedBlock diagnostic;
  DeviceBlock state;
  DeviceBlock peer_table;
  std::shared_ptr<Buffer> buffer;  // null: adopted
  std::vector<Mapping> peers;
  std::unique_ptr<Transport> transport;  // null: adopted

  ~Workspace();

  Diagnostic* trouble() const { return static_cast<Diagnostic*>(diagnostic.host()); }
  // What both kinds of workspace need of the device: limits, kernels, the diagnostic.
  // `multiprocessors`: of the options.
  Status PrepareDevice(uint32_t multiprocessors);
  // Puts the addresses of all ranks' buffers where kernels find them.
  Status SetPeers(void* const* addresses);
};

Status CreateWorkspace(const lamplight_workspace_options* options,
                       std::unique_ptr<Workspace>* workspace);
Status AdoptWorkspace(const lamplight_adopt_options* options,
                      std::unique_ptr<Workspace>* workspace);

// The first trouble that a kernel has reported. No CUDA call.
Status QueryTrouble(const Workspace& workspace, lamplight_trouble* trouble);
void ForgetTrouble(const Workspace& workspace);
size_t TroubleText(const lamplight_trouble& trouble, char* buffer, size_t bytes);

}  // namespace lamplight::kernels

// The handle that callers hold.
struct lamplight_workspace {
  std::unique_ptr<lamplight::kernels::Workspace> impl;
};
