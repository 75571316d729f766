#include "shim/cupti/launches.h"

#include "shim/arguments.h"
#include "shim/driver/launch.h"
#include "shim/handle_map.h"
#include "shim/hooks/guard.h"
#include "shim/journals.h"
#include "shim/log.h"
#include "shim/recorder/record_builder.h"

namespace lamplight::shim::cupti {
namespace {

namespace abi = lamplight::cupti;
using driver::Call;
using hooks::EagerCall;

constexpr char kNotSwapped[] =
    "it is launched through the driver API (seen through CUPTI), where no other can be put in its "
    "place";

// Kernels of which it was said.
HandleMap<const Function>& Told() {
  static auto* told = new HandleMap<const Function>();
  return *told;
}

void TellNotSwapped(const Function& function) noexcept {
  Session* session = Session::Running();
  if (session == nullptr || session->swap() == nullptr) return;
  Guarded([&] {
    if (Told().Find(&function) != nullptr || IsOurs(function)) return;
    Told().Insert(&function, &function);
    LogWarning("not swapped: {}: {}", function.symbol, kNotSwapped);
    RecordBuilder<trace::Swap> builder(trace::RecordType::kSwap);
    builder->kernel_id = function.kernel_id;
    builder.SetString(&trace::Swap::reason, kNotSwapped);
    session->recorder().Define(builder);
  });
}

void Enter(const Call& call, const driver::Launch& launch) {
  const Function* function = driver::KernelOf(launch.function);
  if (function == nullptr || !function->decoded()) [[likely]]
    return;
  TellNotSwapped(*function);
  Arguments arguments(*function, launch.arguments, launch.extra);
  EagerCall eager;
  eager.Begin(*function, arguments.get(), launch.Shape(), call.On(launch.stream), false);
  call.Keep(eager);
}

template <class P>
void EnterLaunch(const Call& call) {
  Enter(call, driver::Launch(call.As<P>()));
}

void EnterLaunchEx(const Call& call) {
  const auto& p = call.As<abi::LaunchExParams>();
  if (p.config != nullptr) Enter(call, driver::Launch(p));
}

void Exit(const Call& call) {
  if (auto* eager = call.Kept<EagerCall>()) eager->End(call.status());
}

constexpr driver::Watched kLaunches[] = {
    {abi::kLaunchKernel, EnterLaunch<abi::LaunchParams>, Exit, true},
    {abi::kLaunchKernelEx, EnterLaunchEx, Exit, true},
    {abi::kLaunchCooperativeKernel, EnterLaunch<abi::LaunchCooperativeParams>, Exit},
};

}  // namespace

std::span<const driver::Watched> Launches() { return kLaunches; }

}  // namespace lamplight::shim::cupti
