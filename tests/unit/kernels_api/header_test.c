/* The header in C11 without extensions, and without any CUDA header. Called by capacity_test.cc. */
#include "lamplight/collective.h"

int HeaderWorksInC(void);

int HeaderWorksInC(void) {
  lamplight_workspace_options options = LAMPLIGHT_WORKSPACE_OPTIONS_INIT;
  lamplight_call call = LAMPLIGHT_CALL_INIT;
  uint64_t bytes = 0;
  options.world = 2;
  options.max_tokens = 1;
  options.max_hidden = 8;
  options.dtype = LAMPLIGHT_BF16;
  if (options.device != LAMPLIGHT_CURRENT_DEVICE) return 0;
  if (call.struct_size != sizeof call) return 0;
  if (lamplight_workspace_bytes(&options, &bytes) != LAMPLIGHT_OK) return 0;
  return bytes > 0;
}
