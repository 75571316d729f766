// Registration by the ABI that compiled binaries use. Thread-safe: see the header.
#include "test_kernels.h"

#include <atomic>

#include "tests/device_sim/sim_kernel.h"

extern "C" {
void** __cudaRegisterFatBinary(void* fat_binary);
void __cudaRegisterFunction(void** handle, const char* host, char* device, const char* name, int,
                            uint3*, uint3*, dim3*, dim3*, int*);
void __cudaRegisterFatBinaryEnd(void** handle);
void __cudaUnregisterFatBinary(void** handle);
}

namespace device_sim_test {
namespace {

using device_sim::KernelContext;
using device_sim::KernelRegistration;

// One kernel of a test writes a word at a time, but another may poll it meanwhile.
const KernelRegistration add{kAddSymbol, +[](KernelContext&, uint32_t* word, uint32_t value) {
                               const std::atomic_ref shared(*word);
                               shared.store(shared.load() * 10 + value);
                             }};
const KernelRegistration store{kStoreSymbol, +[](KernelContext&, uint32_t* word, uint32_t value) {
                                 std::atomic_ref(*word).store(value, std::memory_order_release);
                               }};
const KernelRegistration await{kAwaitSymbol, +[](KernelContext& context, uint32_t* word) {
                                 while (std::atomic_ref(*word).load(std::memory_order_acquire) == 0)
                                   context.Relax();
                               }};

// The body of launch_syntax.cu's kernel.
const KernelRegistration scale_values{
    "_ZN15device_sim_test11ScaleValuesEPfif",
    +[](KernelContext& context, float* values, int count, float factor) {
      const auto threads = static_cast<int>(context.grid().x * context.block().x);
      for (int i = 0; i < threads && i < count; ++i) values[i] *= factor;
    }};

void Register(void** handle, const void* host, const char* symbol) {
  __cudaRegisterFunction(handle, static_cast<const char*>(host), nullptr, symbol, -1, nullptr,
                         nullptr, nullptr, nullptr, nullptr);
}

// What nvcc's start-up code does for a binary.
class Binary {
 public:
  Binary() {
    Register(handle_, FunctionOf(AddStub), kAddSymbol);
    Register(handle_, FunctionOf(StoreStub), kStoreSymbol);
    Register(handle_, FunctionOf(AwaitStub), kAwaitSymbol);
    Register(handle_, FunctionOf(UnknownStub), kUnknownSymbol);
    __cudaRegisterFatBinaryEnd(handle_);
  }
  ~Binary() { __cudaUnregisterFatBinary(handle_); }
  Binary(const Binary&) = delete;
  Binary& operator=(const Binary&) = delete;

 private:
  void** handle_ = __cudaRegisterFatBinary(nullptr);
};
const Binary binary;

cudaError_t Launch(cudaStream_t stream, const void* function, void** arguments, bool pdl) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = pdl ? 1 : 0;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3{2, 1, 1};
  config.blockDim = dim3{32, 1, 1};
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  return cudaLaunchKernelExC(&config, function, arguments);
}

}  // namespace

// Each stub needs an address of its own.
void AddStub(uint32_t* word, uint32_t value) { *word = *word * 10 + value; }
void StoreStub(uint32_t* word, uint32_t value) { *word = value; }
void AwaitStub(const uint32_t* word) { static_cast<void>(*word); }
void UnknownStub() {}

cudaError_t LaunchAdd(cudaStream_t stream, uint32_t* word, uint32_t value, bool pdl) {
  void* arguments[] = {&word, &value};
  return Launch(stream, FunctionOf(AddStub), arguments, pdl);
}

cudaError_t LaunchStore(cudaStream_t stream, uint32_t* word, uint32_t value) {
  void* arguments[] = {&word, &value};
  return Launch(stream, FunctionOf(StoreStub), arguments, false);
}

cudaError_t LaunchAwait(cudaStream_t stream, const uint32_t* word) {
  void* arguments[] = {&word};
  return Launch(stream, FunctionOf(AwaitStub), arguments, false);
}

AddNodeParams::AddNodeParams(uint32_t* word, uint32_t value)
    : word_(word), value_(value), arguments_{&word_, &value_} {
  params_.func = const_cast<void*>(FunctionOf(AddStub));
  params_.gridDim = dim3{1, 1, 1};
  params_.blockDim = dim3{32, 1, 1};
  params_.kernelParams = arguments_;
}

}  // namespace device_sim_test
