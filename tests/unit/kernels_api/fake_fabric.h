// A driver with virtual memory, fabric handles and multicast, over memory files: physical memory is
// a file, a mapping is a mapping, and so is a multicast object, from which a test may take stores
// on to the buffers (tests/unit/kernels/multicast_relay.h). Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/host/driver_api.h"

namespace lamplight::kernels::test {

struct FakeFabricCounts {
  int physical;        // handles that are not released
  int reserved;        // address ranges
  int mapped;          // mappings
  int joined;          // devices in multicast objects
  int bound;           // buffers bound to them
  int early_bindings;  // bound before all devices had joined
};

// What the device does not have. kStores: what is mapped from elsewhere leads nowhere.
enum class Missing { kNothing, kFabricHandles, kMulticast, kStores };

// In the place of the driver for the life of the object; counts start at 0.
class FakeFabric {
 public:
  explicit FakeFabric(Missing missing = Missing::kNothing);
  ~FakeFabric();
  FakeFabric(const FakeFabric&) = delete;
  FakeFabric& operator=(const FakeFabric&) = delete;

  static FakeFabricCounts Counts();
  // The next mapping fails.
  static void FailNextMap();
  // The multicast object that was made last, mapped for the test, and the buffers that are bound to
  // it. The object holds MulticastRelay::kBlank wherever nobody has stored.
  struct Bound {
    uint32_t* region;
    std::vector<uint32_t*> buffers;
  };
  static Bound TheMulticast();
  // True where a mapping of a multicast object holds the address.
  static bool IsMulticast(const void* address);
};

}  // namespace lamplight::kernels::test
