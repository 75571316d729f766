// Naming kernels of the driver API.
#include "shim/cupti/driver_launch.h"

#include "shim/handle_map.h"
#include "shim/hooks/guard.h"
#include "shim/journals.h"
#include "shim/log.h"
#include "shim/recorder/record_builder.h"

namespace lamplight::shim::cupti {
namespace {

constexpr char kNotSwapped[] =
    "it is launched through the driver API (seen through CUPTI), where no other can be put in its "
    "place";

const Function* Learn(CUfunction launched) noexcept {
  const Function* function = nullptr;
  Guarded([&] {
    Session* session = Session::Current();
    if (session == nullptr) return;
    session->CurrentDevice();
    const auto caller = session->sites().HostCaller();
    function = session->functions().LearnHandle(launched, reinterpret_cast<const void*>(caller));
  });
  return function;
}

// Kernels of which it was said.
HandleMap<const Function>& Told() {
  static auto* told = new HandleMap<const Function>();
  return *told;
}

void TellNotSwapped(Session& session, const Function& function) {
  if (Told().Find(&function) != nullptr || IsOurs(function)) return;
  Told().Insert(&function, &function);
  LogWarning("not swapped: {}: {}", function.symbol, kNotSwapped);
  RecordBuilder<trace::Swap> builder(trace::RecordType::kSwap);
  builder->kernel_id = function.kernel_id;
  builder.SetString(&trace::Swap::reason, kNotSwapped);
  session.recorder().Define(builder);
}

}  // namespace

lamport::LaunchShape DriverLaunch::Shape() const noexcept {
  lamport::LaunchShape shape = hooks::ShapeOf(grid, block, attributes, attribute_count);
  shape.cooperative = shape.cooperative || cooperative;
  return shape;
}

const Function* KernelOf(const DriverLaunch& launch) noexcept {
  Session* session = Session::Running();
  const Function* function =
      session == nullptr ? nullptr : session->functions().Find(launch.function);
  if (function == nullptr) [[unlikely]] {
    function = Learn(launch.function);
    session = Session::Running();
  }
  if (function != nullptr && session != nullptr && session->swap() != nullptr &&
      function->decoded()) {
    Guarded([&] { TellNotSwapped(*session, *function); });
  }
  return function;
}

}  // namespace lamplight::shim::cupti
