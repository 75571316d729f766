// Streams of green contexts, on a device that is in use already: through the driver, as the CUDA
// runtime has none. One thread.
#pragma once

#include <cuda_runtime_api.h>

namespace engine {

// A stream of a new green context on device 0. Both live as long as the process. With `current` the
// green context is the thread's from here on.
cudaStream_t GreenStream(bool current);

}  // namespace engine
