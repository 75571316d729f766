// Queries of contexts. The null stream of a green context may be captured, as another context's may
// not, so it is asked about its capture ahead of anything else.
#include "shim/contexts.h"

#include <algorithm>

#include "shim/log.h"

namespace lamplight::shim {
namespace {

bool SameKernel(const CUDA_KERNEL_NODE_PARAMS& a, const CUDA_KERNEL_NODE_PARAMS& b) {
  return a.ctx == b.ctx && a.func == b.func && a.kern == b.kern;
}

// A graph of our own, gone with the object.
class ScratchGraph {
 public:
  explicit ScratchGraph(const DriverApi& driver) : driver_(driver) {
    if (driver_.GraphCreate(&graph_, 0) != CUDA_SUCCESS) graph_ = nullptr;
  }
  ~ScratchGraph() {
    if (graph_ != nullptr) driver_.GraphDestroy(graph_);
  }
  ScratchGraph(const ScratchGraph&) = delete;
  ScratchGraph& operator=(const ScratchGraph&) = delete;

  CUgraph get() const { return graph_; }

 private:
  const DriverApi& driver_;
  CUgraph graph_ = nullptr;
};

}  // namespace

WithContext::WithContext(const DriverApi& driver, CUcontext context) noexcept : driver_(driver) {
  if (driver_.CtxGetCurrent(&before_) != CUDA_SUCCESS) return;
  current_ = context == nullptr || context == before_;
  if (current_) return;
  changed_ = current_ = driver_.CtxSetCurrent(context) == CUDA_SUCCESS;
}

WithContext::~WithContext() {
  if (changed_) driver_.CtxSetCurrent(before_);
}

CUcontext MemoryContext(const DriverApi& driver) noexcept {
  CUcontext current = nullptr;
  if (driver.CtxGetCurrent(&current) != CUDA_SUCCESS || current == nullptr) return nullptr;
  if (driver.StreamGetCtx == nullptr) return current;  // libcuda of CUDA 12.4
  CUstreamCaptureStatus capture = CU_STREAM_CAPTURE_STATUS_NONE;
  const CUresult asked = driver.StreamIsCapturing(CU_STREAM_LEGACY, &capture);
  // A stream that waits for the null stream is captured; a green context has none of that kind.
  if (asked == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT) return current;
  if (asked != CUDA_SUCCESS || capture != CU_STREAM_CAPTURE_STATUS_NONE) return nullptr;
  CUcontext primary = nullptr;
  CUgreenCtx green = nullptr;
  if (driver.StreamGetCtx(CU_STREAM_LEGACY, &primary, &green) != CUDA_SUCCESS) return current;
  return green == nullptr ? current : primary;
}

uint32_t NameGreenContext(const DriverApi& driver, CUstream stream) noexcept {
  if (driver.StreamGetCtx == nullptr || driver.CtxFromGreenCtx == nullptr) return 0;
  CUcontext context = nullptr;
  CUgreenCtx green = nullptr;
  if (driver.StreamGetCtx(stream, &context, &green) != CUDA_SUCCESS || green == nullptr) return 0;
  driver.CtxFromGreenCtx(&context, green);
  CUdevResource share{};
  if (driver.GreenCtxGetDevResource == nullptr ||
      driver.GreenCtxGetDevResource(green, &share, CU_DEV_RESOURCE_TYPE_SM) != CUDA_SUCCESS) {
    return 0;
  }
  return share.sm.smCount;
}

bool Reach::Sees(CUcontext context) {
  if (context == nullptr || context == home_) return true;
  const auto known = std::ranges::find(seen_, context, &Seen::context);
  if (known != seen_.end()) return known->sees;
  const WithContext with(driver_, context);
  const bool sees = with.current() && MemoryContext(driver_) == home_;
  if (!sees) {
    LogInfo("kernels in context {} are not known to see the shim's memory: left without journal",
            static_cast<const void*>(context));
  }
  seen_.push_back({context, sees});
  return sees;
}

bool Reach::MayTell(const CUDA_KERNEL_NODE_PARAMS& parameters) {
  if (!Sees(parameters.ctx)) return false;
  if (parameters.ctx == nullptr || parameters.ctx == home_) return true;
  const void* kernel = parameters.func != nullptr ? static_cast<const void*>(parameters.func)
                                                  : static_cast<const void*>(parameters.kern);
  for (const Tried& tried : tried_) {
    if (tried.context == parameters.ctx && tried.kernel == kernel) return tried.keeps;
  }
  tried_.push_back({parameters.ctx, kernel, Keeps(parameters)});
  if (!tried_.back().keeps) {
    LogInfo("nodes in context {} would not stay there: left without journal",
            static_cast<const void*>(parameters.ctx));
  }
  return tried_.back().keeps;
}

bool Reach::Keeps(const CUDA_KERNEL_NODE_PARAMS& parameters) const {
  const WithContext with(driver_, parameters.ctx);
  const ScratchGraph graph(driver_);
  CUgraphNode node = nullptr;
  CUDA_KERNEL_NODE_PARAMS kept{};
  return with.current() && graph.get() != nullptr &&
         driver_.GraphAddKernelNode(&node, graph.get(), nullptr, 0, &parameters) == CUDA_SUCCESS &&
         driver_.GraphKernelNodeSetParams(node, &parameters) == CUDA_SUCCESS &&
         driver_.GraphKernelNodeGetParams(node, &kept) == CUDA_SUCCESS &&
         SameKernel(parameters, kept);
}

}  // namespace lamplight::shim
