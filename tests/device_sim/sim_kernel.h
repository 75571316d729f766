// How a kernel exists on the simulated device: a host function found by the kernel's mangled name.
//
// One call of the body runs the whole grid on the stream's thread: first what every block does
// before it waits, then the waiting. Bodies are registered by static objects before main().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace device_sim {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

// What the body can ask of the device. Lives for one launch.
class KernelContext {
 public:
  virtual ~KernelContext() = default;
  virtual std::string_view symbol() const = 0;
  virtual Dim3 grid() const = 0;
  virtual Dim3 block() const = 0;
  virtual unsigned cluster_size() const = 0;  // blocks in a cluster, 1 without clusters
  virtual unsigned shared_bytes() const = 0;  // dynamic, for each block
  virtual uint64_t global_timer_ns() const = 0;
  // Every polling loop calls it: gives the core away. Never returns once the device is torn down
  // (it unwinds the kernel by an exception that bodies must let pass).
  virtual void Relax() = 0;
  // Throws, as a GPU faults, where the address is memory of another context of the device, or of
  // another device without peer access.
  virtual void CheckReach(uint64_t /*address*/) const {}
};

struct Parameter {
  size_t offset;
  size_t size;
};

struct KernelEntry {
  std::string prefix;  // the mangled name starts with it (or equals it)
  std::vector<Parameter> parameters;
  std::function<void(KernelContext&, const std::byte* parameters)> body;
};

void RegisterKernel(KernelEntry entry);
// The entry with the longest prefix of `symbol`; null where the device has no such kernel.
const KernelEntry* FindKernel(std::string_view symbol);

// Registers `body` under a mangled-name prefix; the parameter layout is that of CUDA's ABI: each
// parameter at the next multiple of its alignment.
template <class... Args>
struct KernelRegistration {
  KernelRegistration(std::string prefix, void (*body)(KernelContext&, Args...)) {
    KernelEntry entry;
    entry.prefix = std::move(prefix);
    size_t offset = 0;
    ((offset = (offset + alignof(Args) - 1) / alignof(Args) * alignof(Args),
      entry.parameters.push_back({offset, sizeof(Args)}), offset += sizeof(Args)),
     ...);
    entry.body = [body, layout = entry.parameters](KernelContext& context, const std::byte* bytes) {
      Call(context, bytes, layout, body, std::index_sequence_for<Args...>{});
    };
    RegisterKernel(std::move(entry));
  }

 private:
  template <size_t... I>
  static void Call(KernelContext& context, const std::byte* bytes,
                   const std::vector<Parameter>& layout, void (*body)(KernelContext&, Args...),
                   std::index_sequence<I...>) {
    std::tuple<Args...> values;
    (std::memcpy(static_cast<void*>(&std::get<I>(values)), bytes + layout[I].offset, sizeof(Args)),
     ...);
    body(context, std::get<I>(values)...);
  }
};

template <class... Args>
KernelRegistration(const char*, void (*)(KernelContext&, Args...)) -> KernelRegistration<Args...>;

}  // namespace device_sim
