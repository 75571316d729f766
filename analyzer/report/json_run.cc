// Processes and communicators as JSON.
#include <set>

#include "analyzer/report/json_parts.h"

namespace lamplight {
namespace {

Json RanksJson(const Model& model, Index process) {
  std::set<uint32_t> ranks;
  for (const Workspace& workspace : model.workspaces) {
    if (workspace.process == process) ranks.insert(workspace.rank);
  }
  Json array = Json::array();
  for (const uint32_t rank : ranks) array.push_back(NumberOrNull(rank));
  return array;
}

Json DevicesJson(const Model& model, Index process) {
  Json devices = Json::array();
  for (const Device& device : model.devices) {
    if (device.process != process) continue;
    devices.push_back({{"ordinal", device.ordinal},
                       {"name", device.name},
                       {"uuid", device.uuid},
                       {"simulated", device.simulated}});
  }
  return devices;
}

}  // namespace

namespace {

// Null where LAMPLIGHT_CUPTI did not ask for it.
Json DriverCallsJson(const DriverCalls& calls) {
  if (!calls.asked) return nullptr;
  return {{"in_force", calls.in_force},
          {"library", calls.library},
          {"reason", calls.reason},
          {"replays", calls.replays},
          {"eager_calls", calls.eager}};
}

// Null where there are none.
Json DriverClientsJson(const DriverClients& clients) {
  if (clients.modules.empty()) return nullptr;
  return {
      {"modules", clients.modules}, {"replays", clients.replays}, {"eager_calls", clients.eager}};
}

}  // namespace

Json ProcessJson(const Model& model, Index index) {
  const Process& process = model.processes[index];
  uint64_t replays = 0, completed = 0, eager = 0, refused = 0;
  for (const Replay& replay : model.replays) {
    if (replay.exec == kNone || model.execs[replay.exec].process != index) continue;
    ++(replay.status == 0 ? replays : refused);
    completed += replay.completed_ns != 0;
  }
  for (const EagerLaunch& launch : model.eager) {
    if (launch.process == index) ++(launch.status == 0 ? eager : refused);
  }
  return {{"pid", process.pid},
          {"host", process.hostname},
          {"executable", process.executable},
          {"file", process.file},
          {"mode", process.mode},
          {"shim_version", process.shim_version},
          {"ranks", RanksJson(model, index)},
          {"devices", DevicesJson(model, index)},
          {"replays", replays},
          {"replays_completed", completed},
          {"eager_calls", eager},
          {"refused", refused},
          {"seen_through_cupti", DriverCallsJson(process.driver_calls)},
          {"seen_through_driver", DriverClientsJson(process.driver_clients)},
          {"ended_orderly", process.closed},
          {"last_record_ns", process.last_ns}};
}

Json SwapJson(const Model& model, const KernelSwap& swap) {
  return {{"pid", model.processes[swap.process].pid},
          {"kernel", model.kernels[swap.kernel].symbol},
          {"by", swap.by == kNone ? Json(nullptr) : Json(model.kernels[swap.by].symbol)},
          {"reason", swap.reason}};
}

Json CommunicatorJson(const Model& model, Index index) {
  const Communicator& communicator = model.communicators[index];
  Json members = Json::array();
  for (const Index member : communicator.members) {
    members.push_back(member == kNone
                          ? Json(nullptr)
                          : Json(model.processes[model.workspaces[member].process].pid));
  }
  return {{"communicator", index + 1},
          {"world", communicator.world},
          {"pid_by_rank", members},
          {"certain", communicator.certain},
          {"basis", communicator.basis}};
}

}  // namespace lamplight
