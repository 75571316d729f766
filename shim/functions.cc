// Naming and checking kernels through the runtime and the driver.
#include "shim/functions.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include "shim/log.h"
#include "shim/recorder/record_builder.h"
#include "shim/resolver.h"

namespace lamplight::shim {
namespace {

RealFunctions<decltype(&cudaGetFuncBySymbol)> real_func_by_symbol{"cudaGetFuncBySymbol"};
RealFunctions<decltype(&cudaGetLastError)> real_get_last_error{"cudaGetLastError"};
RealFunctions<decltype(&cudaPeekAtLastError)> real_peek_last_error{"cudaPeekAtLastError"};

// Any kernel that is not of a Lamport family. Never destroyed: threads may launch to the very end.
const Function* Other() {
  static const auto* const other = new Function();
  return other;
}

// The file that holds the code at `address`, empty where unknown.
std::string ModulePath(const void* address) {
  Dl_info found{};
  if (dladdr(address, &found) == 0 || found.dli_fname == nullptr) return {};
  return found.dli_fname;
}

std::vector<lamport::ParameterSpan> ReadParameters(const DriverApi& driver, CUfunction function) {
  std::vector<lamport::ParameterSpan> parameters;
  lamport::ParameterSpan span{};
  while (driver.FuncGetParamInfo(function, parameters.size(), &span.offset, &span.size) ==
         CUDA_SUCCESS) {
    parameters.push_back(span);
  }
  return parameters;
}

}  // namespace

// A host function is known to the runtime that its code is linked to. The question must leave no
// error behind for the host to find. Null: the runtime does not know it.
CUfunction Functions::RuntimeFunction(const void* launched, const void* caller) noexcept {
  auto* by_symbol = real_func_by_symbol.For(caller).get();
  auto* get_last = real_get_last_error.For(caller).get();
  auto* peek_last = real_peek_last_error.For(caller).get();
  if (by_symbol == nullptr || get_last == nullptr || peek_last == nullptr) return nullptr;
  const bool clean_before = peek_last() == cudaSuccess;
  cudaFunction_t function = nullptr;
  if (by_symbol(&function, launched) == cudaSuccess) return function;
  if (clean_before) get_last();
  return nullptr;
}

CUfunction Functions::OfKernel(const void* launched) noexcept {
  CUfunction function = nullptr;
  auto* kernel = static_cast<CUkernel>(const_cast<void*>(launched));
  return driver_.KernelGetFunction(&function, kernel) == CUDA_SUCCESS ? function : nullptr;
}

const Function* Functions::Learn(const void* launched, const void* caller) {
  const RelaxedCapture relaxed(driver_);
  const CUfunction function = RuntimeFunction(launched, caller);
  // What the runtime does not know is a cudaKernel_t, which the driver knows.
  return Learn(launched, function != nullptr ? function : OfKernel(launched), caller);
}

const Function* Functions::LearnHandle(CUfunction launched, const void* caller) {
  const RelaxedCapture relaxed(driver_);
  const char* name = nullptr;
  const bool is_function = driver_.FuncGetName(&name, launched) == CUDA_SUCCESS;
  return Learn(launched, is_function ? launched : OfKernel(launched), caller);
}

const Function* Functions::Learn(const void* launched, CUfunction function, const void* caller) {
  const Function* learnt = Other();
  if (function != nullptr) {
    learnt = Describe(function, ModulePath(caller));
    by_driver_.Insert(function, learnt);
  }
  by_launch_.Insert(launched, learnt);
  return learnt;
}

const Function* Functions::LearnDriver(CUfunction function) {
  if (const Function* known = by_driver_.Find(function)) return known;
  const Function* learnt = Describe(function, {});
  by_driver_.Insert(function, learnt);
  return learnt;
}

const Function* Functions::Describe(CUfunction function, const std::string& module_path) {
  const char* name = nullptr;
  if (driver_.FuncGetName(&name, function) != CUDA_SUCCESS || name == nullptr) return Other();
  abi_.Saw(name);
  if (!abi_.MaybeLamport(name)) return Other();
  // Ahead of the lock, which the watchdog takes: the driver may load the kernel to answer, and that
  // waits for whatever spins.
  auto learnt = std::make_unique<Function>();
  learnt->symbol = name;
  learnt->parameters = ReadParameters(driver_, function);
  learnt->recognition = abi_.Recognise(name, learnt->parameters, module_path);
  if (!learnt->lamport()) return Other();
  std::lock_guard lock(mutex_);
  std::unique_ptr<Function>& entry = by_symbol_[learnt->symbol + ('\n' + module_path)];
  if (entry != nullptr) return entry.get();
  entry = std::move(learnt);
  entry->kernel_id = next_id_++;
  Define(*entry);
  return entry.get();
}

void Functions::Define(const Function& function) {
  const lamport::Recognition& recognition = function.recognition;
  RecordBuilder<trace::Kernel> builder(trace::RecordType::kKernel);
  builder->kernel_id = function.kernel_id;
  builder->algorithm = static_cast<uint16_t>(recognition.algorithm);
  builder->data_type = static_cast<uint16_t>(recognition.data_type);
  builder->flag_layout = static_cast<uint16_t>(recognition.flag_layout);
  builder->compare = static_cast<uint16_t>(recognition.compare);
  builder->world = recognition.world;
  builder->parameters = static_cast<uint32_t>(function.parameters.size());
  builder->flags = trace::kKernelLamport | (recognition.decoded ? trace::kKernelDecoded : 0) |
                   (recognition.reads_early ? trace::kKernelReadsEarly : 0) |
                   (recognition.own_flag_first ? trace::kKernelOwnFlagFirst : 0) |
                   (recognition.mark == lamport::Mark{} ? trace::kKernelWordSentinel : 0);
  builder.SetString(&trace::Kernel::symbol, function.symbol);
  if (recognition.descriptor != nullptr) {
    builder.SetString(&trace::Kernel::descriptor, recognition.descriptor->name);
    builder.SetString(&trace::Kernel::era, recognition.era);
  }
  builder.SetString(&trace::Kernel::reason, recognition.reason);
  recorder_.Define(builder);
  if (!recognition.decoded) {
    LogWarning("kernel {} looks like a Lamport kernel but cannot be decoded: {}", function.symbol,
               recognition.reason);
  }
}

const Function* Functions::ById(uint32_t kernel_id) noexcept {
  std::lock_guard lock(mutex_);
  for (const auto& [symbol, function] : by_symbol_) {
    if (function->kernel_id == kernel_id) return function.get();
  }
  return nullptr;
}

void Functions::ForgetLaunches() noexcept {
  by_launch_.Clear();
  by_driver_.Clear();
}

}  // namespace lamplight::shim
