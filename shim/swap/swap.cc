#include "shim/swap/swap.h"

#include <array>
#include <new>

#include "shim/log.h"
#include "shim/recorder/record_builder.h"

namespace lamplight::shim {

lamport::LaunchShape SwappedCall::Shape(bool pdl) const {
  lamport::LaunchShape shape;
  shape.grid[0] = plan.grid_x;
  shape.grid[1] = plan.grid_y;
  shape.block = plan.block;
  shape.cluster = plan.cluster;
  shape.pdl = pdl;
  return shape;
}

std::unique_ptr<Swap> Swap::Create(const DriverApi& driver, Functions& functions,
                                   const Workspaces& workspaces, Recorder& recorder,
                                   Troubles& troubles, uint64_t timeout_ns) {
  std::unique_ptr<Swap> swap(
      new Swap(driver, functions, workspaces, recorder, troubles, timeout_ns));
  if (SwapDriver::Load(&swap->swap_driver_)) return swap;
  LogWarning("LAMPLIGHT_SWAP: this libcuda lacks cuLaunchKernelEx or cuFuncLoad: nothing swapped");
  return nullptr;
}

void Swap::Prepare(CUcontext context) noexcept {
  try {
    if (contexts_.Find(context) == nullptr) contexts_.Insert(context, Load().release());
  } catch (const std::bad_alloc&) {
    LogWarning("LAMPLIGHT_SWAP: out of memory: nothing is swapped on this device");
  }
}

std::unique_ptr<Swap::Context> Swap::Load() {
  const RelaxedCapture relaxed(driver_);
  auto loaded = std::make_unique<Context>();
  std::string error = "no host-mapped memory";
  if (loaded->diagnostics.Allocate(driver_, troubles_)) {
    loaded->kernels = SwapKernels::Load(driver_, swap_driver_, &error);
  }
  if (loaded->kernels == nullptr) {
    LogWarning("LAMPLIGHT_SWAP: {}: nothing is swapped on this device", error);
  }
  return loaded;
}

bool Swap::Replace(CUcontext prepared, const Function& field, void* const* arguments,
                   uint32_t share, SwappedCall* out) {
  if (arguments == nullptr || field.symbol.starts_with("lamplight_")) return false;
  Context* context = contexts_.Find(prepared);
  if (context == nullptr || context->kernels == nullptr) return false;
  Known* known = known_.Find(&field);
  if (known == nullptr) [[unlikely]]
    known = Learn(field);
  FieldCall call;
  const char* why_not = known->why_not;
  if (why_not == nullptr) {
    why_not = ReadFieldCall(known->kernel, arguments, &call);
    // What it may not be swapped for arms the workspace all the same.
    const char* other_width = CheckWidth(call);
    if (why_not == nullptr) why_not = other_width;
  }
  if (why_not == nullptr) why_not = Choose(*context, call, share, out);
  out->function = why_not == nullptr ? FunctionOf(*out->kernel) : nullptr;
  const void* outcome = why_not == nullptr ? static_cast<const void*>(out->function) : why_not;
  if (known->outcomes.IsNew(outcome)) [[unlikely]]
    Tell(field, out->function, why_not);
  return why_not == nullptr;
}

// Two threads may both learn it: one entry stays.
Swap::Known* Swap::Learn(const Function& field) {
  auto learnt = std::make_unique<Known>();
  learnt->why_not = DescribeFieldKernel(field.recognition, field.symbol, &learnt->kernel);
  Known* known = known_.Add(&field, learnt.get());
  if (known == learnt.get()) learnt.release();
  return known;
}

// Not before it is launched: as with the field's kernels, what the process has launched by then
// tells where the state of some workspaces is.
const Function* Swap::FunctionOf(const SwapKernel& kernel) {
  if (const Function* known = functions_.FindInNode(kernel.handle)) return known;
  const RelaxedCapture relaxed(driver_);
  return functions_.LearnDriver(kernel.handle);
}

// An element that has not come is −0 of the workspace's type: 16-bit calls arm it with other words
// than 32-bit ones poll, whosever kernels they are. TensorRT-LLM's arm and poll words, but clear as
// many elements as the call before had, of their own width. MNNVL workspaces are armed alike for
// all types, and say in bytes what to clear.
const char* Swap::CheckWidth(const FieldCall& field) {
  if (!kernels::IsUnicast(field.protocol) || field.call.peer_table == nullptr) return nullptr;
  if (widths_.Note(field.call.peer_table, kernels::BytesOf(field.call.data_type))) return nullptr;
  if (field.protocol == kernels::Protocol::kUnicastInWords) {
    return "16-bit and fp32 calls share its workspace, and clear each other's words by the number "
           "of elements";
  }
  return "16-bit and fp32 calls share its workspace, and each leaves words that the other takes "
         "for "
         "data";
}

const char* Swap::Choose(Context& context, const FieldCall& field, uint32_t share,
                         SwappedCall* out) noexcept {
  out->call = field.call;
  if (field.rank_unknown) {
    const Workspace* workspace = workspaces_.At(field.call.state);
    if (workspace == nullptr || workspace->world != field.call.world)
      return "its rank is not known";
    out->call.rank = workspace->rank;
  }
  kernels::KernelId id =
      kernels::IdFor(field.kernel, field.protocol, field.call.data_type, field.call.world);
  kernels::DeviceLimits limits = context.kernels->limits();
  limits.share = share;
  if (!PlanLaunch(id, field.call, limits, &out->plan)) return "its rows are too long";
  id.form = out->plan.form;
  out->kernel = context.kernels->Find(id);
  if (out->kernel == nullptr) return "no kernel of ours stands for it";
  const void* workspace = field.call.state != nullptr
                              ? field.call.state
                              : static_cast<const void*>(field.call.peer_table);
  out->call.diagnostic = context.diagnostics.Of(workspace);
  out->call.timeout_ns = timeout_ns_;
  SetPlan(out->plan, &out->call);
  return nullptr;
}

CUresult Swap::Launch(const SwappedCall& swapped, void** arguments,
                      std::span<const CUlaunchAttribute> attributes, CUstream stream) noexcept {
  std::array<CUlaunchAttribute, 16> kept;
  unsigned count = 0;
  for (const CUlaunchAttribute& attribute : attributes) {
    const bool of_clusters =
        attribute.id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION ||
        attribute.id == CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE;
    if (!of_clusters && count + 1 < kept.size()) kept[count++] = attribute;
  }
  if (swapped.plan.cluster > 1) {
    CUlaunchAttribute cluster{};
    cluster.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
    cluster.value.clusterDim = {1, swapped.plan.cluster, 1};
    kept[count++] = cluster;
  }
  CUlaunchConfig config{};
  config.gridDimX = swapped.plan.grid_x;
  config.gridDimY = swapped.plan.grid_y;
  config.gridDimZ = 1;
  config.blockDimX = swapped.plan.block;
  config.blockDimY = 1;
  config.blockDimZ = 1;
  config.sharedMemBytes = swapped.plan.shared_bytes;
  config.hStream = stream;
  config.attrs = kept.data();
  config.numAttrs = count;
  return swap_driver_.LaunchKernelEx(&config, swapped.kernel->handle, arguments, nullptr);
}

// Once for each kernel and outcome.
void Swap::Tell(const Function& field, const Function* by, const char* why_not) {
  if (by == nullptr) {
    LogWarning("not swapped: {}: {}", field.symbol, why_not);
  } else {
    LogInfo("swapped: {} for {}", by->symbol, field.symbol);
  }
  RecordBuilder<trace::Swap> builder(trace::RecordType::kSwap);
  builder->kernel_id = field.kernel_id;
  builder->by_kernel_id = by != nullptr ? by->kernel_id : 0;
  if (by == nullptr) builder.SetString(&trace::Swap::reason, why_not);
  recorder_.Define(builder);
}

}  // namespace lamplight::shim
