// What is known about one Lamport kernel: how its symbol looks, where its parameters lie, what they mean.
//
// Plain values, filled from JSON by descriptor_parser.h and never changed afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/protocol.cuh"
#include "shim/trace_format.h"

namespace lamplight::lamport {

// What a parameter, a struct field or a template argument means to the protocol.
enum class Role : uint8_t {
  kNone,  // of no interest
  kOut,
  kPrenorm,
  kShard,
  kResidual,
  kGamma,
  kPeers,      // device array of the ranks' buffer pointers
  kMulticast,  // multicast address of the buffer
  kLocal,      // this rank's own buffer
  kWorkspace,  // device array of pointers, one of which leads to the flag words
  kFlags,      // the flag words
  kTokens,
  kDim,       // elements of a token
  kElements,  // tokens * dim, where tokens are not passed
  kRank,
  kWorld,
  kEps,
  kIndex,   // generation index that the host passes
  kWaits,   // this launch awaits the result itself
  kScalar,  // any other number that must be the same in comparable calls
  kDataType,  // template argument only
};

enum class FieldType : uint8_t { kAddress, kUnsigned, kSigned, kFloat, kBool };

// A value inside parameter `parameter`, `offset` bytes from the parameter's start.
struct Field {
  Role role = Role::kNone;
  FieldType type = FieldType::kUnsigned;
  uint16_t parameter = 0;
  uint32_t offset = 0;
  uint32_t size = 0;
};

// Offset and size as the driver tells them. Size 0: not checked.
struct ParameterSpan {
  size_t offset;
  size_t size;
};

// How a mangled symbol is told apart. Exactly one of `prefix` and `contains` is set.
struct SymbolRule {
  std::string prefix;
  std::string contains;
  std::string suffix;                // empty: any
  bool templated = false;            // template arguments follow the prefix at once
  std::vector<Role> arguments;       // meaning of each; kNone: of no interest
};

enum class Advances : uint8_t { kNever, kAlways, kWhenWaiting };
enum class Arrivals : uint8_t { kUnknown, kBlocks, kClusters };

struct Descriptor {
  std::string name;
  std::string era;
  std::string source;  // file that it came from, for messages
  trace::Algorithm algorithm = trace::Algorithm::kUnknown;
  trace::FlagLayout flag_layout = trace::FlagLayout::kUnknown;
  uint16_t flag_words = 0;
  protocol::Compare compare = protocol::Compare::kUnknown;
  trace::DataType data_type = trace::DataType::kUnknown;  // unless the symbol tells
  Advances advances = Advances::kAlways;
  Arrivals arrivals = Arrivals::kUnknown;
  // Flag words behind workspace[slot_per_rank * world + slot].
  uint16_t slot_per_rank = 0;
  uint16_t slot = 0;
  SymbolRule symbol;
  std::vector<ParameterSpan> parameters;
  std::vector<Field> fields;
};

}  // namespace lamplight::lamport
