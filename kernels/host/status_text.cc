// The meaning of every status. Thread-safe: constants.
#include "kernels/include/lamplight/collective.h"

extern "C" const char* lamplight_status_text(lamplight_status status) {
  switch (status) {
    case LAMPLIGHT_OK:
      return "no error";
    case LAMPLIGHT_ERROR_NULL:
      return "a pointer that is needed is null";
    case LAMPLIGHT_ERROR_STRUCT_SIZE:
      return "struct_size is none that this library knows";
    case LAMPLIGHT_ERROR_MISALIGNED:
      return "an address or a size is misaligned";
    case LAMPLIGHT_ERROR_WORLD:
      return "the number of ranks is not 2, 4, 8, 16, 32 or 64";
    case LAMPLIGHT_ERROR_RANK:
      return "the rank is not below the number of ranks";
    case LAMPLIGHT_ERROR_DTYPE:
      return "not a data type of this library";
    case LAMPLIGHT_ERROR_TOKENS:
      return "a call needs at least one token";
    case LAMPLIGHT_ERROR_HIDDEN:
      return "the row is empty, too long or not a multiple of 16 bytes";
    case LAMPLIGHT_ERROR_CAPACITY:
      return "the call does not fit the workspace";
    case LAMPLIGHT_ERROR_PATTERN:
      return "not a pattern of this library, or a tensor that the pattern does not use";
    case LAMPLIGHT_ERROR_QUANTISATION:
      return "not a quantisation of this library, or one that this call cannot have";
    case LAMPLIGHT_ERROR_ALGORITHM:
      return "not an algorithm of this library, or one that this call cannot have";
    case LAMPLIGHT_ERROR_VALUE:
      return "a field has a value that it cannot have";
    case LAMPLIGHT_ERROR_OVERLAP:
      return "an output overlaps another tensor";
    case LAMPLIGHT_ERROR_DEVICE:
      return "no such device, or not the one that is current";
    case LAMPLIGHT_ERROR_CAPTURE:
      return "the stream's capture forbids the call or was invalidated";
    case LAMPLIGHT_ERROR_UNSUPPORTED:
      return "the device or the driver cannot do what was asked for";
    case LAMPLIGHT_ERROR_STATE:
      return "the flag words of the adopted workspace are impossible";
    case LAMPLIGHT_ERROR_EXCHANGE:
      return "the all-gather between the ranks failed";
    case LAMPLIGHT_ERROR_EXCHANGE_TIMEOUT:
      return "the all-gather between the ranks did not return in time";
    case LAMPLIGHT_ERROR_DISAGREEMENT:
      return "the ranks asked for different workspaces";
    case LAMPLIGHT_ERROR_PEER:
      return "another rank failed";
    case LAMPLIGHT_ERROR_PROBE:
      return "stores to a peer's memory do not arrive";
    case LAMPLIGHT_ERROR_OUT_OF_MEMORY:
      return "out of memory";
    case LAMPLIGHT_ERROR_CUDA:
      return "a CUDA call failed";
    case LAMPLIGHT_ERROR_INTERNAL:
      return "a fault of this library";
  }
  return "not a status of this library";
}
