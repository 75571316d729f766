// Pure; thread-safe.
#include "kernels/host/settings.h"

#include <algorithm>
#include <iterator>

#include "kernels/host/versioned.h"

namespace lamplight::kernels {
namespace {

constexpr uint64_t kDefaultTimeoutNs = 10'000'000'000u;
constexpr uint64_t kNsPerMs = 1'000'000u;
constexpr uint32_t kWorlds[] = {2, 4, 8, 16, 32, 64};
// The flag words count bytes in 32 bits.
constexpr uint64_t kLargestMnnvlGeneration = UINT32_MAX / kGenerationStep * kGenerationStep;
// Sizes of buffers then fit 64 bits with ease.
constexpr uint64_t kLargestGeneration = uint64_t{1} << 44;

Status CheckChoice(uint32_t value, uint32_t most, const char* name, const char* choices) {
  if (value <= most) return {};
  return Error(LAMPLIGHT_ERROR_VALUE, "%s is %u: give %s", name, value, choices);
}

Status ReadShape(const lamplight_workspace_options& options, Shape* shape) {
  if (options.max_tokens == 0 || options.max_tokens > kMaxTokens) {
    return Error(
        LAMPLIGHT_ERROR_TOKENS,
        "options->max_tokens is %u: give the largest number of tokens of a call, 1 to %u, or "
        "generation_bytes",
        options.max_tokens, kMaxTokens);
  }
  LAMPLIGHT_TRY(ReadDataType(options.dtype, "options->dtype", &shape->data_type));
  LAMPLIGHT_TRY(CheckHidden(options.max_hidden, shape->data_type, "options->max_hidden"));
  shape->tokens = options.max_tokens;
  shape->hidden = options.max_hidden;
  return {};
}

Status ReadGeneration(const lamplight_workspace_options& options, Capacity* capacity) {
  if (options.algorithm > LAMPLIGHT_ALGORITHM_TWO_SHOT) {
    return Error(LAMPLIGHT_ERROR_ALGORITHM,
                 "options->algorithm is %u: give LAMPLIGHT_ALGORITHM_AUTO, _ONE_SHOT or _TWO_SHOT",
                 options.algorithm);
  }
  const bool epoch = capacity->protocol == Protocol::kEpoch;
  const uint64_t most = epoch ? kLargestGeneration : kLargestMnnvlGeneration;
  uint64_t bytes = options.generation_bytes;
  if (bytes == 0) {
    Shape largest{};
    LAMPLIGHT_TRY(ReadShape(options, &largest));
    bytes = GenerationFor(capacity->protocol, capacity->world, largest,
                          static_cast<lamplight_algorithm>(options.algorithm));
  }
  if (bytes > most) {
    return Error(
        LAMPLIGHT_ERROR_CAPACITY,
        "a generation of %llu bytes is asked for, and this protocol has at most %llu: lower "
        "options->%s%s",
        static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(most),
        options.generation_bytes != 0 ? "generation_bytes" : "max_tokens or max_hidden",
        epoch ? "" : ", or use LAMPLIGHT_PROTOCOL_EPOCH");
  }
  capacity->generation_bytes = RoundUpGeneration(bytes);
  return {};
}

Status ReadKinds(const lamplight_workspace_options& options, Settings* settings) {
  LAMPLIGHT_TRY(CheckChoice(options.protocol, LAMPLIGHT_PROTOCOL_MNNVL, "options->protocol",
                            "LAMPLIGHT_PROTOCOL_EPOCH (0) or _MNNVL (1)"));
  LAMPLIGHT_TRY(CheckChoice(options.memory, LAMPLIGHT_MEMORY_FABRIC, "options->memory",
                            "LAMPLIGHT_MEMORY_IPC (0) or _FABRIC (1)"));
  LAMPLIGHT_TRY(CheckChoice(options.multicast, 1, "options->multicast", "0 or 1"));
  if (options.multicast == 1 && options.memory != LAMPLIGHT_MEMORY_FABRIC) {
    return Error(LAMPLIGHT_ERROR_VALUE,
                 "options->multicast is 1 and options->memory is IPC: a multicast address needs "
                 "LAMPLIGHT_MEMORY_FABRIC");
  }
  settings->capacity.protocol =
      options.protocol == LAMPLIGHT_PROTOCOL_EPOCH ? Protocol::kEpoch : Protocol::kMnnvl;
  settings->memory = static_cast<lamplight_memory>(options.memory);
  settings->multicast = options.multicast == 1;
  return {};
}

}  // namespace

uint64_t TimeoutNs(uint32_t timeout_ms, uint64_t otherwise) {
  if (timeout_ms == LAMPLIGHT_DEFAULT_TIMEOUT) return otherwise;
  return timeout_ms == LAMPLIGHT_NO_TIMEOUT ? 0 : timeout_ms * kNsPerMs;
}

Status ReadPatience(uint32_t timeout_ms, uint32_t on_timeout, uint32_t on_divergence,
                    const char* field, Patience* patience) {
  constexpr char kChoices[] = "LAMPLIGHT_ON_TROUBLE_REPORT (0) or _TRAP (1)";
  const std::string name = field;
  LAMPLIGHT_TRY(CheckChoice(on_timeout, LAMPLIGHT_ON_TROUBLE_TRAP, (name + "->on_timeout").c_str(),
                            kChoices));
  LAMPLIGHT_TRY(CheckChoice(on_divergence, LAMPLIGHT_ON_TROUBLE_TRAP,
                            (name + "->on_divergence").c_str(), kChoices));
  patience->timeout_ns = TimeoutNs(timeout_ms, kDefaultTimeoutNs);
  patience->options = static_cast<uint8_t>((on_timeout != 0 ? kTrapOnTimeout : 0) |
                                           (on_divergence != 0 ? kTrapOnDivergence : 0));
  return {};
}

Status CheckWorld(uint32_t world, uint32_t rank, const char* name) {
  if (std::find(std::begin(kWorlds), std::end(kWorlds), world) == std::end(kWorlds)) {
    return Error(LAMPLIGHT_ERROR_WORLD, "%s->world is %u: give 2, 4, 8, 16, 32 or 64", name, world);
  }
  if (rank >= world) {
    return Error(LAMPLIGHT_ERROR_RANK, "%s->rank is %u with %u ranks: give 0 to %u", name, rank,
                 world, world - 1);
  }
  return {};
}

Status ReadDataType(uint32_t dtype, const char* name, DataType* data_type) {
  if (dtype < LAMPLIGHT_FP16 || dtype > LAMPLIGHT_FP32) {
    return Error(LAMPLIGHT_ERROR_DTYPE,
                 "%s is %u: give LAMPLIGHT_FP16 (1), LAMPLIGHT_BF16 (2) or LAMPLIGHT_FP32 (3)",
                 name, dtype);
  }
  *data_type = static_cast<DataType>(dtype - LAMPLIGHT_FP16);
  return {};
}

Status CheckHidden(uint32_t hidden, DataType data_type, const char* name) {
  const uint32_t step = 16 / BytesOf(data_type);
  if (hidden != 0 && hidden <= kMaxHidden && hidden % step == 0) return {};
  return Error(LAMPLIGHT_ERROR_HIDDEN,
               "%s is %u: give a multiple of %u elements (16 bytes of this dtype), at most %u",
               name, hidden, step, kMaxHidden);
}

Status CheckAligned(const void* address, size_t alignment, const char* name) {
  if ((reinterpret_cast<uintptr_t>(address) & (alignment - 1)) == 0) return {};
  return Error(LAMPLIGHT_ERROR_MISALIGNED, "%s is %p: it must be a multiple of %zu bytes", name,
               address, alignment);
}

Status ReadOptions(const lamplight_workspace_options* from, lamplight_workspace_options* options) {
  constexpr size_t kLeast = LAMPLIGHT_BYTES_THROUGH(lamplight_workspace_options, generation_bytes);
  return ReadVersioned(from, kLeast, "options", options);
}

Status ReadSettings(const lamplight_workspace_options& options, Settings* settings) {
  LAMPLIGHT_TRY(CheckWorld(options.world, options.rank, "options"));
  settings->capacity.world = options.world;
  settings->rank = options.rank;
  settings->device = options.device;
  settings->multiprocessors = options.multiprocessors;
  if (options.device < LAMPLIGHT_CURRENT_DEVICE) {
    return Error(LAMPLIGHT_ERROR_DEVICE,
                 "options->device is %d: give a CUDA ordinal or LAMPLIGHT_CURRENT_DEVICE (-1)",
                 options.device);
  }
  LAMPLIGHT_TRY(ReadKinds(options, settings));
  LAMPLIGHT_TRY(ReadGeneration(options, &settings->capacity));
  return ReadPatience(options.timeout_ms, options.on_timeout, options.on_divergence, "options",
                      &settings->patience);
}

}  // namespace lamplight::kernels
