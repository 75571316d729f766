// Naming kernels of the driver API.
#include "shim/driver/launch.h"

#include "shim/hooks/guard.h"

namespace lamplight::shim::driver {
namespace {

const Function* Learn(CUfunction launched) noexcept {
  const Function* function = nullptr;
  Guarded([&] {
    Session* session = Session::ForLaunches();
    if (session == nullptr) return;
    session->CurrentDevice();
    const auto caller = session->sites().HostCaller();
    function = session->functions().LearnHandle(launched, reinterpret_cast<const void*>(caller));
  });
  return function;
}

}  // namespace

Launch::Launch(const abi::LaunchParams& call)
    : function(call.function),
      grid(call.grid[0], call.grid[1], call.grid[2]),
      block(call.block[0], call.block[1], call.block[2]),
      stream(call.stream),
      arguments(call.arguments),
      extra(call.extra) {}

Launch::Launch(const abi::LaunchExParams& call)
    : function(call.function),
      grid(call.config->gridDimX, call.config->gridDimY, call.config->gridDimZ),
      block(call.config->blockDimX, call.config->blockDimY, call.config->blockDimZ),
      stream(call.config->hStream),
      arguments(call.arguments),
      extra(call.extra),
      attributes(call.config->attrs, call.config->numAttrs) {}

Launch::Launch(const abi::LaunchCooperativeParams& call)
    : function(call.function),
      grid(call.grid[0], call.grid[1], call.grid[2]),
      block(call.block[0], call.block[1], call.block[2]),
      stream(call.stream),
      arguments(call.arguments),
      cooperative(true) {}

lamport::LaunchShape Launch::Shape() const noexcept {
  lamport::LaunchShape shape = hooks::ShapeOf(grid, block, attributes.data(), attributes.size());
  shape.cooperative = shape.cooperative || cooperative;
  return shape;
}

const Function* KernelOf(CUfunction launched) noexcept {
  Session* session = Session::Standing();
  const Function* known = session == nullptr ? nullptr : session->functions().Find(launched);
  return known != nullptr ? known : Learn(launched);
}

}  // namespace lamplight::shim::driver
