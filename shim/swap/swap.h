// LAMPLIGHT_SWAP=1: launches our fixed kernel where the host launches one of the field's, with the
// same tensors, workspace and stream. What cannot be proved to be the same is left alone, with one
// line on stderr for each kernel and reason.
//
// Thread-safe. Prepare is called once for each context, before its first collective.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <memory>
#include <span>

#include "shim/functions.h"
#include "shim/handle_map.h"
#include "shim/lamport/recognition.h"
#include "shim/swap/field_call.h"
#include "shim/swap/outcomes.h"
#include "shim/swap/swap_diagnostics.h"
#include "shim/swap/swap_kernels.h"
#include "shim/swap/workspace_widths.h"
#include "shim/workspaces.h"

namespace lamplight::shim {

// One launch as it is to be instead. Lives through the launch.
struct SwappedCall {
  const SwapKernel* kernel = nullptr;
  const Function* function = nullptr;  // as the trace names it
  kernels::CollectiveCall call{};
  kernels::LaunchPlan plan{};

  lamport::LaunchShape Shape(bool pdl) const;
};

class Swap {
 public:
  // Null where the driver is too old for it.
  static std::unique_ptr<Swap> Create(const DriverApi& driver, Functions& functions,
                                      const Workspaces& workspaces, Recorder& recorder,
                                      Troubles& troubles, uint64_t timeout_ns);

  // Loads the kernels into the current context; what fails is logged, and nothing is swapped there.
  void Prepare(CUcontext context) noexcept;

  // True with `out` filled where the launch is to be replaced, by a kernel of `context`: one that
  // was prepared. `share`: multiprocessors that it may run on; 0: all.
  bool Replace(CUcontext context, const Function& field, void* const* arguments, uint32_t share,
               SwappedCall* out);

  // Launches it with `arguments`, its call or a copy of that. `attributes` are those of the host's
  // launch; the cluster's is replaced.
  CUresult Launch(const SwappedCall& swapped, void** arguments,
                  std::span<const CUlaunchAttribute> attributes, CUstream stream) noexcept;

 private:
  struct Context {
    std::unique_ptr<SwapKernels> kernels;
    SwapDiagnostics diagnostics;
  };

  Swap(const DriverApi& driver, Functions& functions, const Workspaces& workspaces,
       Recorder& recorder, Troubles& troubles, uint64_t timeout_ns)
      : driver_(driver),
        functions_(functions),
        workspaces_(workspaces),
        recorder_(recorder),
        troubles_(troubles),
        timeout_ns_(timeout_ns) {}

  std::unique_ptr<Context> Load();
  // What is known of a kernel of the field, from its first launch on.
  struct Known {
    FieldKernel kernel;
    const char* why_not = nullptr;
    Outcomes outcomes;
  };
  Known* Learn(const Function& field);
  const char* CheckWidth(const FieldCall& field);
  const char* Choose(Context& context, const FieldCall& field, uint32_t share,
                     SwappedCall* out) noexcept;
  const Function* FunctionOf(const SwapKernel& kernel);
  void Tell(const Function& field, const Function* by, const char* why_not);

  const DriverApi& driver_;
  Functions& functions_;
  const Workspaces& workspaces_;
  Recorder& recorder_;
  Troubles& troubles_;
  uint64_t timeout_ns_;
  SwapDriver swap_driver_;
  HandleMap<Context> contexts_;
  HandleMap<Known> known_;  // of each field kernel; entries live for ever
  WorkspaceWidths widths_;
};

}  // namespace lamplight::shim
