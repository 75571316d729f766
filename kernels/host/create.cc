// Creation of a workspace by all ranks together: three rounds, of which each succeeds on all ranks
// or on none.
//
//   own buffer allocated, initialised, kernels loaded
//     ── round 1: offers ──  agreement is checked, peers are mapped, a store goes to each
//     ── round 2 ──          every peer's store must have arrived here; multicast is bound
//     ── round 3 ──          all can be used
//
// A buffer is initialised before it is offered: no rank can store into one that is not. One thread
// uses one object.
#include "kernels/host/copies.h"
#include "kernels/host/device_scope.h"
#include "kernels/host/exchange.h"
#include "kernels/host/transport.h"
#include "kernels/host/workspace.h"
#include "kernels/protocol.cuh"
#include "kernels/tuning.h"

namespace lamplight::kernels {
namespace {

char* At(void* address, uint64_t offset) { return static_cast<char*>(address) + offset; }

class Creation {
 public:
  Creation(const Settings& settings, Workspace* workspace)
      : settings_(settings),
        workspace_(*workspace),
        layout_(PlanBuffer(settings.capacity)),
        exchange_(settings.all_gather, settings.capacity.world, settings.rank) {}

  // `so_far`: what was found wrong with this rank's options. The other ranks are to hear of it.
  Status Run(const Status& so_far);

 private:
  uint32_t world() const { return settings_.capacity.world; }

  Status Rounds(const Status& so_far);
  Status Build();
  Status InitialiseBuffer();
  Status InitialiseState();
  Status MakeOffer(Offer* offer);
  Status Connect();
  Status Probe();
  Status VerifyProbes();

  const Settings& settings_;
  Workspace& workspace_;
  BufferLayout layout_;
  RankExchange exchange_;
  Copies copies_;
  std::vector<Offer> offers_;
};

Status Creation::Run(const Status& so_far) {
  Status status = Rounds(so_far);
  // A peer that heard of the buffer may map it after this rank has given up.
  if (exchange_.broken() && workspace_.transport != nullptr) workspace_.transport->Abandon();
  return status;
}

Status Creation::Rounds(const Status& so_far) {
  Offer offer{};
  Status mine = so_far;
  if (mine.ok()) mine = Build();
  if (mine.ok()) mine = MakeOffer(&offer);
  LAMPLIGHT_TRY(exchange_.Gather(mine, offer, &offers_));
  LAMPLIGHT_TRY(CheckAgreement(offers_));
  LAMPLIGHT_TRY(exchange_.Agree(Connect()));
  Status verified = VerifyProbes();
  if (verified.ok()) verified = workspace_.transport->Bind(&workspace_.common.multicast);
  return exchange_.Agree(verified);
}

Status Creation::Build() {
  workspace_.capacity = settings_.capacity;
  workspace_.patience = settings_.patience;
  LAMPLIGHT_TRY(copies_.Open());
  LAMPLIGHT_TRY(workspace_.PrepareDevice(settings_.multiprocessors));
  LAMPLIGHT_TRY(MakeTransport(settings_, layout_, workspace_.device, &workspace_.transport));
  LAMPLIGHT_TRY(workspace_.transport->Allocate(&workspace_.buffer));
  LAMPLIGHT_TRY(InitialiseBuffer());
  return InitialiseState();
}

Status Creation::InitialiseBuffer() {
  void* address = workspace_.buffer->address();
  workspace_.common.local = address;
  workspace_.common.header_offset = layout_.header_offset;
  if (settings_.capacity.protocol == Protocol::kEpoch) {
    workspace_.common.generation_bytes = settings_.capacity.generation_bytes;
    return {};  // zeroed: no line carries the number of a call
  }
  return copies_.Fill(address, protocol::kSentinel,
                      layout_.generations * settings_.capacity.generation_bytes);
}

Status Creation::InitialiseState() {
  // The flag words begin as FlashInfer's do; both kinds of state count calls from 0.
  MnnvlState state{};
  state.flags[protocol::kDirtyIndex] = 2;
  state.flags[protocol::kBytesPerBuffer] =
      static_cast<uint32_t>(settings_.capacity.generation_bytes);
  const bool epoch = settings_.capacity.protocol == Protocol::kEpoch;
  if (epoch) state = {};
  static_assert(sizeof(EpochState) <= sizeof(MnnvlState));
  LAMPLIGHT_TRY(workspace_.state.Allocate(sizeof state));
  workspace_.common.state = workspace_.state.get();
  return copies_.Copy(workspace_.state.get(), &state, sizeof state);
}

Status Creation::MakeOffer(Offer* offer) {
  offer->tuning = kTuningVersion;
  offer->world = world();
  offer->protocol = static_cast<uint32_t>(settings_.capacity.protocol);
  offer->memory = settings_.memory;
  offer->multicast = settings_.multicast ? 1 : 0;
  offer->device = workspace_.device;
  offer->generation_bytes = settings_.capacity.generation_bytes;
  offer->process = ThisProcess();
  return workspace_.transport->Describe(offer);
}

Status Creation::Connect() {
  void* addresses[kMaxWorld] = {};
  workspace_.peers.resize(world());
  for (uint32_t peer = 0; peer < world(); ++peer) {
    if (peer == settings_.rank) {
      workspace_.peers[peer] = Mapping(workspace_.buffer, workspace_.buffer->address());
    } else {
      const Status opened = workspace_.transport->Open(offers_[settings_.rank], offers_[peer],
                                                       &workspace_.peers[peer]);
      if (!opened.ok()) {
        return Error(opened.code(), "the buffer of rank %u cannot be mapped: %s", peer,
                     opened.text().c_str());
      }
    }
    addresses[peer] = workspace_.peers[peer].get();
  }
  LAMPLIGHT_TRY(workspace_.SetPeers(addresses));
  LAMPLIGHT_TRY(workspace_.transport->Join(offers_.front()));
  return Probe();
}

// A mapping that was granted can still lead elsewhere, or nowhere.
Status Creation::Probe() {
  std::vector<uint64_t> words(world());
  const uint64_t offset = layout_.probe_offset + settings_.rank * sizeof(uint64_t);
  for (uint32_t peer = 0; peer < world(); ++peer) {
    words[peer] = offers_[peer].token + settings_.rank;
    void* place = At(workspace_.peers[peer].get(), offset);
    LAMPLIGHT_TRY(copies_.Start(place, &words[peer], sizeof(uint64_t)));
  }
  return copies_.Wait();
}

Status Creation::VerifyProbes() {
  std::vector<uint64_t> words(world());
  LAMPLIGHT_TRY(copies_.Copy(words.data(), At(workspace_.buffer->address(), layout_.probe_offset),
                             words.size() * sizeof(uint64_t)));
  for (uint32_t peer = 0; peer < world(); ++peer) {
    if (words[peer] == offers_[settings_.rank].token + peer) continue;
    return Error(LAMPLIGHT_ERROR_PROBE,
                 "a store of rank %u (device %d) into the buffer of rank %u (device %d) did not "
                 "arrive: check peer access between these devices",
                 peer, offers_[peer].device, settings_.rank, workspace_.device);
  }
  return {};
}

Status CheckAllGather(const lamplight_workspace_options& options) {
  if (options.all_gather != nullptr) return {};
  return Error(LAMPLIGHT_ERROR_NULL,
               "options->all_gather is null: give a function that gathers bytes of every rank");
}

}  // namespace

Status CreateWorkspace(const lamplight_workspace_options* from,
                       std::unique_ptr<Workspace>* workspace) {
  lamplight_workspace_options options{};
  LAMPLIGHT_TRY(ReadOptions(from, &options));
  LAMPLIGHT_TRY(CheckAllGather(options));
  LAMPLIGHT_TRY(CheckWorld(options.world, options.rank, "options"));

  // From here on the other ranks wait for this one, and hear of what it finds wrong.
  auto made = std::make_unique<Workspace>();
  Settings settings;
  Status status = ReadSettings(options, &settings);
  settings.all_gather = {options.all_gather, options.all_gather_context,
                         options.exchange_timeout_ms};
  if (status.ok()) status = ResolveDevice(settings.device, &made->device);
  made->common.world = options.world;
  made->common.rank = options.rank;
  const DeviceScope scope(made->device);
  if (status.ok()) status = FromCuda(scope.status(), "cudaSetDevice");
  LAMPLIGHT_TRY(Creation(settings, made.get()).Run(status));
  *workspace = std::move(made);
  return {};
}

}  // namespace lamplight::kernels
