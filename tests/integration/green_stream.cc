#include "green_stream.h"

#include "driver_call.h"

namespace engine {

cudaStream_t GreenStream(bool current) {
  constexpr unsigned kProcessors = 8;
  CUdevResource all{}, share{};
  CUdevResourceDesc description = nullptr;
  CUgreenCtx green = nullptr;
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  unsigned groups = 1;
  DRIVER(cuDeviceGetDevResource, 0, &all, CU_DEV_RESOURCE_TYPE_SM);
  DRIVER(cuDevSmResourceSplitByCount, &share, &groups, &all, nullptr, 0, kProcessors);
  DRIVER(cuDevResourceGenerateDesc, &description, &share, 1);
  DRIVER(cuGreenCtxCreate, &green, description, 0, CU_GREEN_CTX_DEFAULT_STREAM);
  DRIVER(cuGreenCtxStreamCreate, &stream, green, CU_STREAM_NON_BLOCKING, 0);
  if (!current) return stream;
  DRIVER(cuCtxFromGreenCtx, &context, green);
  DRIVER(cuCtxSetCurrent, context);
  return stream;
}

}  // namespace engine
