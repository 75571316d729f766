// Reads the parameters of one launch. Hot path: no allocation, no lock, no exception.
#include <cstring>

#include "shim/lamport/recognition.h"

namespace lamplight::lamport {
namespace {

constexpr uint64_t kFnvBasis = 0xcbf29ce484222325u;
constexpr uint64_t kFnvPrime = 0x100000001b3u;
constexpr uint32_t kMaxValue = 0x7fffffffu;  // above any count that a kernel takes

uint64_t Mix(uint64_t hash, uint64_t value) {
  for (int i = 0; i < 8; ++i) {
    hash = (hash ^ (value & 0xff)) * kFnvPrime;
    value >>= 8;
  }
  return hash;
}

// Numbers that take part in the protocol. kNoId: not told by this kernel.
struct Numbers {
  uint32_t tokens = trace::kNoId;
  uint32_t dim = trace::kNoId;
  uint32_t elements = trace::kNoId;
  uint32_t rank = trace::kNoId;
  uint32_t world = trace::kNoId;
  uint32_t index = trace::kNoId;
  bool waits = false;
};

uint64_t Load(const void* parameter, const Field& field) {
  uint64_t bits = 0;
  std::memcpy(&bits, static_cast<const std::byte*>(parameter) + field.offset, field.size);
  return bits;
}

// False where the value cannot be a count.
bool Count(const Field& field, uint64_t bits, uint32_t* value) {
  if (field.type == FieldType::kSigned && field.size == 4 && (bits >> 31) != 0) return false;
  if (bits > kMaxValue) return false;
  *value = static_cast<uint32_t>(bits);
  return true;
}

uint64_t* AddressOf(Role role, DecodedCall* out) {
  switch (role) {
    case Role::kOut:
      return &out->output_address;
    case Role::kPrenorm:
      return &out->prenorm_address;
    case Role::kShard:
      return &out->shard_address;
    case Role::kResidual:
      return &out->residual_address;
    case Role::kGamma:
      return &out->gamma_address;
    case Role::kPeers:
      return &out->peers_address;
    case Role::kMulticast:
      return &out->multicast_address;
    case Role::kLocal:
      return &out->local_address;
    case Role::kWorkspace:
    case Role::kFlags:
      return &out->flags_address;
    default:
      return nullptr;
  }
}

uint32_t* NumberOf(Role role, Numbers* numbers) {
  switch (role) {
    case Role::kTokens:
      return &numbers->tokens;
    case Role::kDim:
      return &numbers->dim;
    case Role::kElements:
      return &numbers->elements;
    case Role::kRank:
      return &numbers->rank;
    case Role::kWorld:
      return &numbers->world;
    case Role::kIndex:
      return &numbers->index;
    default:
      return nullptr;
  }
}

bool ReadField(const Field& field, const void* parameter, Numbers* numbers, DecodedCall* out) {
  const uint64_t bits = Load(parameter, field);
  if (uint64_t* address = AddressOf(field.role, out); address != nullptr) {
    *address = bits;
    return true;
  }
  out->call.digest = Mix(Mix(out->call.digest, static_cast<uint64_t>(field.role)), bits);
  if (field.role == Role::kWaits) numbers->waits = (bits & 0xff) != 0;
  uint32_t* number = NumberOf(field.role, numbers);
  return number == nullptr || Count(field, bits, number);
}

// The template arguments' share, and tokens from elements.
void Complete(const Recognition& recognition, Numbers* numbers) {
  if (recognition.world != 0) numbers->world = recognition.world;
  if (recognition.dim != 0) numbers->dim = recognition.dim;
  if (recognition.waits) numbers->waits = true;
  const bool divisible = numbers->tokens == trace::kNoId && numbers->dim != trace::kNoId &&
                         numbers->dim != 0 && numbers->elements != trace::kNoId &&
                         numbers->elements % numbers->dim == 0;
  if (divisible) numbers->tokens = numbers->elements / numbers->dim;
}

bool Plausible(const Numbers& numbers) {
  if (numbers.tokens == 0 || numbers.tokens == trace::kNoId || numbers.dim == 0) return false;
  if (numbers.world == 0) return false;
  if (numbers.rank == trace::kNoId || numbers.world == trace::kNoId) return true;
  return numbers.rank < numbers.world;
}

// Where the flag words are, directly or behind the workspace's pointer.
bool PlaceFlags(const Descriptor& descriptor, const Numbers& numbers, DecodedCall* out) {
  if (out->flags_address == 0) return false;
  out->flags_indirect = descriptor.flags_indirect;
  if (!descriptor.flags_indirect) return out->flags_address % sizeof(uint32_t) == 0;
  const uint64_t world = descriptor.slot_per_rank != 0 ? numbers.world : 0;
  const uint64_t slot = descriptor.slot_per_rank * world + descriptor.slot;
  out->flags_address += slot * sizeof(uint64_t);
  return out->flags_address % sizeof(uint64_t) == 0;
}

bool AdvancesIndex(Advances advances, bool waits) {
  return advances == Advances::kAlways || (advances == Advances::kWhenWaiting && waits);
}

uint32_t ExpectedArrivals(Arrivals rule, const LaunchShape& shape) {
  const uint64_t blocks = uint64_t{shape.grid[0]} * shape.grid[1] * shape.grid[2];
  const uint32_t cluster = shape.cluster > 1 ? shape.cluster : 1;
  if (rule == Arrivals::kUnknown || blocks > kMaxValue) return 0;
  return static_cast<uint32_t>(rule == Arrivals::kBlocks ? blocks : blocks / cluster);
}

void Describe(const Descriptor& descriptor, const Numbers& numbers, const LaunchShape& shape,
              trace::LamportCall* call) {
  call->tokens = numbers.tokens;
  call->dim = numbers.dim;
  call->rank = numbers.rank;
  call->world = numbers.world;
  call->index_argument = numbers.index;
  for (int i = 0; i < 3; ++i) call->grid[i] = shape.grid[i];
  call->block = shape.block;
  call->cluster = shape.cluster > 1 ? shape.cluster : 1;
  if (AdvancesIndex(descriptor.advances, numbers.waits)) {
    call->flags |= trace::kCallAdvances;
    call->expected_arrivals = ExpectedArrivals(descriptor.arrivals, shape);
  }
  if (shape.pdl) call->flags |= trace::kCallPdl;
  if (shape.cooperative) call->flags |= trace::kCallCooperative;
  if (numbers.index != trace::kNoId) call->flags |= trace::kCallHostIndex;
}

}  // namespace

bool Decode(const Recognition& recognition, const void* const* kernel_params,
            const LaunchShape& shape, DecodedCall* out) noexcept {
  if (!recognition.decoded || kernel_params == nullptr) return false;
  const Descriptor& descriptor = *recognition.descriptor;
  *out = DecodedCall{};
  out->call.digest = kFnvBasis;
  Numbers numbers;
  for (const Field& field : descriptor.fields) {
    const void* parameter = kernel_params[field.parameter];
    if (parameter == nullptr || !ReadField(field, parameter, &numbers, out)) return false;
  }
  Complete(recognition, &numbers);
  if (!Plausible(numbers) || !PlaceFlags(descriptor, numbers, out)) return false;
  Describe(descriptor, numbers, shape, &out->call);
  return true;
}

}  // namespace lamplight::lamport
