// Reads the parameters of one launch. Hot path: no allocation, no lock, no exception.
#include <cstring>

#include "shim/lamport/recognition.h"

namespace lamplight::lamport {
namespace {

constexpr uint64_t kDigestSeed = 0xcbf29ce484222325u;
constexpr uint64_t kDigestFactor = 0x9e3779b97f4a7c15u;
constexpr uint32_t kMaxValue = 0x7fffffffu;  // above any count that a kernel takes

uint64_t Mix(uint64_t digest, uint64_t value) {
  digest = (digest ^ value) * kDigestFactor;
  return digest ^ digest >> 32;
}

// What the launch's fields hold, by role.
struct Values {
  uint64_t of[static_cast<size_t>(Role::kDataType) + 1] = {};
  uint32_t present = 0;

  uint64_t Get(Role role) const { return of[static_cast<size_t>(role)]; }
  bool Has(Role role) const { return (present >> static_cast<unsigned>(role) & 1) != 0; }
};
static_assert(static_cast<size_t>(Role::kDataType) < 32);

// Numbers that take part in the protocol. kNoId: not told by this kernel.
struct Numbers {
  uint32_t tokens;
  uint32_t dim;
  uint32_t elements;
  uint32_t row;
  uint32_t row_vectors;
  uint32_t rank;
  uint32_t world;
  uint32_t index;
  bool waits;
};

bool IsAddress(Role role) { return role >= Role::kOut && role <= Role::kFlags; }

template <class T>
uint64_t LoadAs(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

uint64_t Load(const std::byte* from, uint32_t size) {
  switch (size) {
    case 8:
      return LoadAs<uint64_t>(from);
    case 4:
      return LoadAs<uint32_t>(from);
    case 2:
      return LoadAs<uint16_t>(from);
    default:
      return LoadAs<uint8_t>(from);
  }
}

bool ReadField(const Field& field, uint64_t offset, const void* const* kernel_params,
               Values* values, uint64_t* digest) {
  const void* parameter = kernel_params[field.parameter];
  if (parameter == nullptr) return false;
  const uint64_t bits = Load(static_cast<const std::byte*>(parameter) + offset, field.size);
  values->of[static_cast<size_t>(field.role)] = bits;
  values->present |= 1u << static_cast<unsigned>(field.role);
  if (!IsAddress(field.role)) *digest = Mix(Mix(*digest, static_cast<uint64_t>(field.role)), bits);
  return true;
}

bool ReadFields(const Recognition& recognition, const void* const* kernel_params, Values* values,
                uint64_t* digest) {
  for (const Field& field : recognition.descriptor->fields) {
    if (field.stride_by_rank != 0) continue;
    const uint64_t offset = field.offset + uint64_t{field.offset_per_rank} * recognition.world;
    if (!ReadField(field, offset, kernel_params, values, digest)) return false;
  }
  return true;
}

// This rank's entries of arrays, once it is known who this rank is. False: there is none.
bool ReadOwnEntries(const Recognition& recognition, const Numbers& numbers,
                    const void* const* kernel_params, Values* values, uint64_t* digest) {
  const Descriptor& descriptor = *recognition.descriptor;
  for (const Field& field : descriptor.fields) {
    if (field.stride_by_rank == 0) continue;
    const Parameter& parameter = descriptor.parameters[field.parameter];
    const uint64_t end = parameter.size + uint64_t{parameter.size_per_rank} * recognition.world;
    const uint64_t offset = field.offset + uint64_t{field.offset_per_rank} * recognition.world +
                            uint64_t{field.stride_by_rank} * numbers.rank;
    if (numbers.rank >= numbers.world || offset + field.size > end) return false;
    if (!ReadField(field, offset, kernel_params, values, digest)) return false;
  }
  return true;
}

// False where a value cannot be a count: negative numbers have their top bit set.
bool Count(const Values& values, Role role, uint32_t* number) {
  const uint64_t bits = values.Get(role);
  *number = values.Has(role) ? static_cast<uint32_t>(bits) : trace::kNoId;
  return bits <= kMaxValue;
}

bool ReadNumbers(const Values& values, Numbers* numbers) {
  numbers->waits = (values.Get(Role::kWaits) & 0xff) != 0;
  return Count(values, Role::kTokens, &numbers->tokens) &&
         Count(values, Role::kDim, &numbers->dim) &&
         Count(values, Role::kElements, &numbers->elements) &&
         Count(values, Role::kRow, &numbers->row) &&
         Count(values, Role::kRowVectors, &numbers->row_vectors) &&
         Count(values, Role::kRank, &numbers->rank) &&
         Count(values, Role::kWorld, &numbers->world) &&
         Count(values, Role::kIndex, &numbers->index);
}

void TakeAddresses(const Values& values, DecodedCall* out) {
  out->output_address = values.Get(Role::kOut);
  out->prenorm_address = values.Get(Role::kPrenorm);
  out->shard_address = values.Get(Role::kShard);
  out->residual_address = values.Get(Role::kResidual);
  out->gamma_address = values.Get(Role::kGamma);
  out->peers_address = values.Get(Role::kPeers);
  out->multicast_address = values.Get(Role::kMulticast);
  out->diagnostic_address = values.Get(Role::kDiagnostic);
  out->generation_bytes = values.Get(Role::kGenerationBytes);
  out->header_offset = values.Get(Role::kHeaderOffset);
  out->flags_address = values.Get(Role::kFlags) | values.Get(Role::kWorkspace);  // one of them
}

// A call that knows no tokens has one.
void CompleteRow(const Recognition& recognition, Numbers* numbers) {
  if (numbers->row != trace::kNoId) {
    numbers->dim = numbers->row;
  } else if (numbers->row_vectors != trace::kNoId) {
    const uint64_t dim = uint64_t{numbers->row_vectors} * 16 / BytesOf(recognition.data_type);
    numbers->dim = dim <= kMaxValue ? static_cast<uint32_t>(dim) : 0;
  } else {
    return;
  }
  numbers->tokens = 1;
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
  CompleteRow(recognition, numbers);
}

bool Plausible(const Numbers& numbers) {
  if (numbers.tokens == 0 || numbers.tokens == trace::kNoId || numbers.dim == 0) return false;
  if (numbers.world == 0) return false;
  if (numbers.rank == trace::kNoId || numbers.world == trace::kNoId) return true;
  return numbers.rank < numbers.world;
}

// Where the flag words are, directly or behind the workspace's pointer.
bool PlaceFlags(const Recognition& recognition, const Numbers& numbers, DecodedCall* out) {
  const Descriptor& descriptor = *recognition.descriptor;
  if (out->flags_address == 0) return false;
  out->flags_indirect = descriptor.flags_indirect;
  if (!descriptor.flags_indirect) return out->flags_address % sizeof(uint32_t) == 0;
  const uint64_t world = descriptor.slot_per_rank != 0 ? numbers.world : 0;
  const auto address_of = [&](uint64_t slot) {
    return out->flags_address + (descriptor.slot_per_rank * world + slot) * sizeof(uint64_t);
  };
  if (recognition.sizes_slot) out->sizes_address = address_of(*recognition.sizes_slot);
  out->flags_address = address_of(descriptor.slot);
  return out->flags_address % sizeof(uint64_t) == 0;
}

// A unicast workspace is a table of pointers. Those of the ranks' Lamport buffers end where that of
// the flag words is (FlashInfer, comm/trtllm_allreduce_fusion.cuh, LamportComm).
void PlacePeers(const Recognition& recognition, const Numbers& numbers, DecodedCall* out) {
  if (recognition.flag_layout != trace::FlagLayout::kUnicast) return;
  out->peers_address = out->flags_address - numbers.world * sizeof(uint64_t);
}

// Its own buffer, and what a generation of it has, where slots are told instead.
void PlaceLocal(const Values& values, const Numbers& numbers, DecodedCall* out) {
  out->local_address = values.Get(Role::kLocal);
  if (values.Has(Role::kSlotBytes)) {
    out->generation_bytes = values.Get(Role::kSlotBytes) * numbers.world;
  }
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
  out->call.digest = kDigestSeed;
  Values values;
  Numbers numbers;
  if (!ReadFields(recognition, kernel_params, &values, &out->call.digest) ||
      !ReadNumbers(values, &numbers)) {
    return false;
  }
  TakeAddresses(values, out);
  Complete(recognition, &numbers);
  if (!Plausible(numbers) || !PlaceFlags(recognition, numbers, out)) return false;
  if (!ReadOwnEntries(recognition, numbers, kernel_params, &values, &out->call.digest)) {
    return false;
  }
  PlaceLocal(values, numbers, out);
  PlacePeers(recognition, numbers, out);
  Describe(descriptor, numbers, shape, &out->call);
  return true;
}

}  // namespace lamplight::lamport
