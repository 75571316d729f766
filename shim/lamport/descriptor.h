// What is known about one Lamport kernel: how its symbol looks, where its parameters lie, what they
// mean.
//
// Plain values, filled from JSON by descriptor_parser.h and never changed afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
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
  kPeers,       // device array of the ranks' buffer pointers
  kMulticast,   // multicast address of the buffer
  kLocal,       // this rank's own buffer
  kDiagnostic,  // where a kernel of ours reports its troubles, in host memory
  kWorkspace,   // device array of pointers, one of which leads to the flag words
  kFlags,       // the flag words
  kTokens,
  kDim,         // elements of a token
  kElements,    // tokens * dim, where tokens are not passed
  kRow,         // elements of a call that knows no tokens: one row
  kRowVectors,  // the same in units of 16 bytes
  kRank,
  kWorld,
  kEps,
  kIndex,            // generation index that the host passes
  kWaits,            // this launch awaits the result itself
  kGenerationBytes,  // size of a generation, where the state words do not say it
  kSlotBytes,        // of one rank; a generation has one for each
  kHeaderOffset,     // of the peers' headers in the local buffer, 0: none
  kScalar,           // any other number that must be the same in comparable calls
  kDataType,         // template argument only
};

enum class FieldType : uint8_t { kAddress, kUnsigned, kSigned, kFloat, kBool };

// A value inside parameter `parameter`, offset + offset_per_rank * world + stride_by_rank * rank
// bytes from the parameter's start.
struct Field {
  Role role = Role::kNone;
  FieldType type = FieldType::kUnsigned;
  uint16_t parameter = 0;
  uint32_t offset = 0;
  uint32_t offset_per_rank = 0;  // it lies behind an array with an entry for each rank
  uint32_t stride_by_rank = 0;   // it is this rank's entry of such an array
  uint32_t size = 0;
};

// One parameter of the kernel. Its size is size + size_per_rank * world.
struct Parameter {
  uint32_t size = 0;
  uint32_t size_per_rank = 0;
  uint32_t alignment = 1;
};

// How a mangled symbol is told apart. Exactly one of `prefix` and `contains` is set.
struct SymbolRule {
  std::string prefix;
  std::string contains;
  std::string suffix;           // empty: any
  bool templated = false;       // template arguments follow the prefix at once
  std::vector<Role> arguments;  // meaning of each; kNone: of no interest
};

// What the kernel does, as far as it can differ between releases that share a signature.
struct Semantics {
  std::string era;
  trace::FlagLayout flag_layout = trace::FlagLayout::kUnknown;
  uint16_t flag_words = 0;
  // As `slot`: workspace[slot_per_rank * world + sizes_slot] leads to int64 {elements to clear,
  // bytes of a generation}, where the flag words do not hold them.
  std::optional<uint16_t> sizes_slot;
  protocol::Compare compare = protocol::Compare::kUnknown;
  bool reads_early = false;     // residual and weights, before the grid-dependency sync
  bool own_flag_first = false;  // its barrier lets a peer go on before all flags are stored
};

// Semantics in releases [from, below) of the package, empty bounds are open; or, with `seen`, in a
// process that has launched a kernel whose mangled name holds that.
struct VersionCase {
  std::string from;
  std::string below;
  std::string seen;
  Semantics semantics;
};

enum class Sentinel : uint8_t {
  kWord,         // fp32 −0
  kElement,      // −0 of the data type, in each element
  kZeroWord,     // no bit set in 32
  kZeroElement,  // +0 of the data type, in each element
};
enum class Advances : uint8_t { kNever, kAlways, kWhenWaiting };
enum class Arrivals : uint8_t { kUnknown, kBlocks, kClusters };

struct Descriptor {
  std::string name;
  std::string source;  // file that it came from, for messages
  trace::Algorithm algorithm = trace::Algorithm::kUnknown;
  trace::DataType data_type = trace::DataType::kUnknown;  // unless the symbol tells
  Semantics semantics;
  std::string package;  // whose version decides between `versions`
  std::vector<VersionCase> versions;
  Sentinel sentinel = Sentinel::kWord;
  Advances advances = Advances::kAlways;
  Arrivals arrivals = Arrivals::kUnknown;
  // With a workspace: the flag words lie behind workspace[slot_per_rank * world + slot].
  bool flags_indirect = false;
  uint16_t slot_per_rank = 0;
  uint16_t slot = 0;
  SymbolRule symbol;
  std::vector<Parameter> parameters;
  std::vector<Field> fields;
};

// Names that belong to a Lamport protocol even where no descriptor fits.
struct Family {
  std::string name;
  std::string prefix;
  std::string contains;
  std::vector<std::string> except;
};

}  // namespace lamplight::lamport
