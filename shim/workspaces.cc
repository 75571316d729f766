// Workspace identities. An address that comes to mean another rank or group gets a new identity.
#include "shim/workspaces.h"

namespace lamplight::shim {
namespace {

// Some kernels of a pair do not name their rank or peers; what they do not name always fits.
template <class T>
bool Fits(T known, T named, T unnamed) {
  return named == unnamed || known == unnamed || known == named;
}

bool SameEnd(const Workspace& workspace, const lamport::DecodedCall& call) {
  return Fits(workspace.rank, call.call.rank, trace::kNoId) &&
         Fits(workspace.world, call.call.world, trace::kNoId) &&
         Fits<uint64_t>(workspace.peers_address, call.peers_address, 0) &&
         Fits<uint64_t>(workspace.local_address, call.local_address, 0) &&
         workspace.generation_bytes == call.generation_bytes &&
         Fits<uint64_t>(workspace.header_offset, call.header_offset, 0);
}

}  // namespace

void Workspace::NoteEager(const lamport::DecodedCall& call, uint32_t stream_id, uint64_t time_ns,
                          uint64_t op_before) noexcept {
  std::lock_guard lock(mutex_);
  ++eager_.calls;
  eager_.time_ns = time_ns;
  eager_.op_before = op_before;
  eager_.stream_id = stream_id;
  eager_.call = call;
}

Workspace::Eager Workspace::last_eager() const noexcept {
  std::lock_guard lock(mutex_);
  return eager_;
}

Workspace* Workspaces::Resolve(const lamport::Recognition& recognition, uint32_t device,
                               lamport::DecodedCall* call) {
  const auto* key = reinterpret_cast<const void*>(call->flags_address);
  Workspace* workspace = by_flags_.Find(key);
  if (workspace == nullptr || !SameEnd(*workspace, *call)) {
    workspace = Define(recognition, device, *call);
  }
  call->call.workspace_id = workspace->id;
  if (call->diagnostic_address != 0) {
    workspace->diagnostic.store(call->diagnostic_address, std::memory_order_relaxed);
  }
  if (call->call.rank == trace::kNoId) call->call.rank = workspace->rank;
  if (call->call.world == trace::kNoId) call->call.world = workspace->world;
  return workspace;
}

Workspace* Workspaces::Define(const lamport::Recognition& recognition, uint32_t device,
                              const lamport::DecodedCall& call) {
  std::lock_guard lock(mutex_);
  const auto* key = reinterpret_cast<const void*>(call.flags_address);
  if (Workspace* known = by_flags_.Find(key); known != nullptr && SameEnd(*known, call)) {
    return known;  // another thread was first
  }
  auto* workspace = new Workspace();
  workspace->id = next_id_++;
  workspace->device = device;
  workspace->rank = call.call.rank;
  workspace->world = call.call.world;
  workspace->layout = recognition.flag_layout;
  workspace->flag_words = static_cast<uint16_t>(recognition.flag_words);
  workspace->indirect = call.flags_indirect;
  workspace->flags_address = call.flags_address;
  workspace->sizes_address = call.sizes_address;
  workspace->peers_address = call.peers_address;
  workspace->local_address = call.local_address;
  workspace->multicast_address = call.multicast_address;
  workspace->generation_bytes = call.generation_bytes;
  workspace->header_offset = call.header_offset;

  trace::Workspace record{};
  record.workspace_id = workspace->id;
  record.device_id = device;
  record.rank = workspace->rank;
  record.world = workspace->world;
  record.flag_layout = static_cast<uint16_t>(workspace->layout);
  record.flag_words = workspace->flag_words;
  record.flags_address = workspace->flags_address;
  record.peers_address = workspace->peers_address;
  record.local_address = workspace->local_address;
  record.multicast_address = workspace->multicast_address;
  recorder_.Define(trace::RecordType::kWorkspace, record);
  by_flags_.Insert(key, workspace);
  any_.store(true, std::memory_order_relaxed);
  return workspace;
}

Workspace* Workspaces::ById(uint32_t id) const noexcept {
  Workspace* found = nullptr;
  by_flags_.ForEach([&](Workspace& workspace) {
    if (workspace.id == id) found = &workspace;
  });
  return found;
}

SnapshotSource SourceOf(const Workspace& workspace) {
  SnapshotSource source{};
  source.address = workspace.flags_address;
  source.workspace_id = workspace.id;
  source.words = workspace.flag_words < kSnapshotWords ? workspace.flag_words : kSnapshotWords;
  source.indirect = workspace.indirect;
  return source;
}

}  // namespace lamplight::shim
