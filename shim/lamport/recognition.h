// Tells Lamport kernels by their mangled names and reads their launch parameters.
//
// Any number of threads may use an AbiTable: after Load it changes in Saw only, which is atomic.
// Decode takes no lock and allocates nothing, so that it can run in every eager launch.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/protocol.cuh"
#include "shim/lamport/descriptor.h"
#include "shim/trace_format.h"

namespace lamplight::lamport {

// One parameter as the driver tells it (cuFuncGetParamInfo).
struct ParameterSpan {
  size_t offset;
  size_t size;
};

// What an empty slot holds: a word that nothing was stored to has this pattern. Where the kernel
// polls 16-bit elements, a word counts as absent while either half is as the mark's.
struct Mark {
  uint32_t word = protocol::kSentinel;
  bool in_halves = false;

  bool operator==(const Mark&) const = default;
};

// What is known about a kernel before any launch of it. `descriptor` lives as long as the AbiTable.
// Invariant: decoded implies lamport and descriptor; lamport without decoded implies a reason.
struct Recognition {
  bool lamport = false;  // the name belongs to a Lamport family
  bool decoded = false;  // the parameters agree with the driver's: launches can be read
  const Descriptor* descriptor = nullptr;
  std::string reason;
  std::string era;
  trace::Algorithm algorithm = trace::Algorithm::kUnknown;
  trace::DataType data_type = trace::DataType::kUnknown;
  trace::FlagLayout flag_layout = trace::FlagLayout::kUnknown;
  protocol::Compare compare = protocol::Compare::kUnknown;
  Mark mark{};
  uint32_t world = 0;  // template argument, 0: not in the name
  uint32_t dim = 0;    // template argument, 0: not in the name
  uint32_t flag_words = 0;
  std::optional<uint16_t> sizes_slot;  // Semantics
  bool waits = false;                  // template argument
  bool reads_early = false;            // Semantics, for these two
  bool own_flag_first = false;
};

class AbiTable {
 public:
  // The built-in descriptors and those of the JSON files in `user_paths` (separated by ':'), which
  // win. A bad file is ignored as a whole and leaves its reasons in `errors`. Never null.
  static std::unique_ptr<AbiTable> Load(std::string_view user_paths,
                                        std::vector<std::string>* errors);

  // Cheap: true for every name that Recognise would call Lamport, and perhaps for a few more.
  bool MaybeLamport(std::string_view mangled) const noexcept;

  // The process launches a kernel of this name, whatever it is: it may tell apart releases whose
  // all-reduce kernels look alike. Before any Recognise that is to know of it.
  void Saw(std::string_view mangled) noexcept;

  // `parameters` in the driver's order. `module_path`, the file that the kernel's code came from,
  // tells releases with the same signature apart where it names the version; may be empty.
  Recognition Recognise(std::string_view mangled, std::span<const ParameterSpan> parameters,
                        std::string_view module_path = {}) const noexcept;

  size_t descriptors() const { return descriptors_.size(); }

 private:
  AbiTable() = default;
  void Add(std::string_view text, const std::string& file, std::vector<std::string>* errors);
  Recognition Describe(std::string_view mangled, std::span<const ParameterSpan> parameters,
                       std::string_view module_path) const;
  const Family* FamilyOf(std::string_view mangled) const noexcept;
  const Semantics& SemanticsFor(const Descriptor& descriptor, std::string_view module_path) const;

  // VersionCase::seen.
  struct SeenPart {
    std::string part;
    std::atomic<bool> seen{false};
  };
  SeenPart* SeenPartOf(std::string_view part) const noexcept;

  std::vector<Descriptor> descriptors_;  // the first that fits wins: user files come first
  std::vector<std::unique_ptr<SeenPart>> seen_parts_;
  std::vector<Family> families_;
};

// How a kernel is launched, as far as the protocol cares.
struct LaunchShape {
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block = 1;    // threads in a block
  uint32_t cluster = 1;  // blocks in a cluster, 0 or 1: no clusters
  bool pdl = false;
  bool cooperative = false;
};

// One launch. Addresses are 0 where the kernel does not name them.
struct DecodedCall {
  trace::LamportCall call{};  // kernel_id and workspace_id stay 0
  bool flags_indirect = false;
  uint64_t flags_address = 0;  // of the words, or of the pointer to them where flags_indirect
  uint64_t sizes_address = 0;  // of the pointer to the sizes, see Semantics; 0: none
  uint64_t peers_address = 0;
  uint64_t local_address = 0;
  uint64_t diagnostic_address = 0;  // of a kernel of ours
  uint64_t generation_bytes = 0;    // 0: the flag words say it
  uint64_t header_offset = 0;       // 0: there are no headers
  uint64_t multicast_address = 0;
  uint64_t shard_address = 0;
  uint64_t output_address = 0;
  uint64_t prenorm_address = 0;
  uint64_t residual_address = 0;
  uint64_t gamma_address = 0;
};

// Reads a launch's parameters (one pointer for each). False where the recognition is not decodable
// or the values make no sense: rank beyond the world, no tokens, no or misaligned flag words.
bool Decode(const Recognition& recognition, const void* const* kernel_params,
            const LaunchShape& shape, DecodedCall* out) noexcept;

}  // namespace lamplight::lamport
