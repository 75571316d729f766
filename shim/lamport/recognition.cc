// The descriptor table; immutable after Load.
#include "shim/lamport/recognition.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "shim/lamport/builtin_abi.h"
#include "shim/lamport/descriptor_parser.h"
#include "shim/lamport/package_version.h"
#include "shim/lamport/symbol_match.h"

namespace lamplight::lamport {
namespace {

bool ReadFile(const std::string& path, std::string* text, std::string* error) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    *error = path + ": cannot be opened; LAMPLIGHT_ABI takes JSON files separated by ':'";
    return false;
  }
  text->resize(kMaxFileBytes + 1);
  file.read(text->data(), static_cast<std::streamsize>(text->size()));
  text->resize(static_cast<size_t>(file.gcount()));
  if (text->empty()) *error = path + ": is empty or no regular file";
  if (text->size() > kMaxFileBytes) *error = path + ": is larger than 1 MiB";
  return error->empty();
}

std::string Spans(std::span<const ParameterSpan> parameters) {
  std::string text;
  for (const ParameterSpan& parameter : parameters) {
    text += (text.empty() ? "" : " ") + std::to_string(parameter.offset) + "+" +
            std::to_string(parameter.size);
  }
  return text.empty() ? "none" : text;
}

std::vector<ParameterSpan> Layout(const Descriptor& descriptor, uint32_t world) {
  std::vector<ParameterSpan> spans;
  size_t end = 0;
  for (const Parameter& parameter : descriptor.parameters) {
    const size_t align = parameter.alignment;
    const size_t offset = (end + align - 1) / align * align;
    spans.push_back({offset, parameter.size + size_t{parameter.size_per_rank} * world});
    end = offset + spans.back().size;
  }
  return spans;
}

bool SameLayout(std::span<const ParameterSpan> left, std::span<const ParameterSpan> right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const ParameterSpan& a, const ParameterSpan& b) {
                      return a.offset == b.offset && a.size == b.size;
                    });
}

bool Holds(const VersionCase& known, std::string_view version) {
  if (version.empty()) return false;
  if (!known.from.empty() && CompareVersions(version, known.from) < 0) return false;
  return known.below.empty() || CompareVersions(version, known.below) < 0;
}

Mark MarkOf(Sentinel sentinel, trace::DataType data_type) {
  const bool halves = data_type == trace::DataType::kF16 || data_type == trace::DataType::kBf16;
  switch (sentinel) {
    case Sentinel::kElement:
      return halves ? Mark{0x80008000u, true} : Mark{};
    case Sentinel::kZeroWord:
      return {0, false};
    case Sentinel::kZeroElement:
      return {0, halves};
    case Sentinel::kWord:
      break;
  }
  return {};
}

void Fill(const Descriptor& descriptor, const SymbolFacts& facts, const Semantics& semantics,
          Recognition* result) {
  result->algorithm = descriptor.algorithm;
  result->data_type =
      facts.data_type != trace::DataType::kUnknown ? facts.data_type : descriptor.data_type;
  result->era = semantics.era;
  result->flag_layout = semantics.flag_layout;
  result->flag_words = semantics.flag_words;
  result->sizes_slot = semantics.sizes_slot;
  result->compare = semantics.compare;
  result->reads_early = semantics.reads_early;
  result->own_flag_first = semantics.own_flag_first;
  result->mark = MarkOf(descriptor.sentinel, result->data_type);
  result->world = facts.world;
  result->dim = facts.dim;
  result->waits = facts.waits;
}

// A name that is known with parameters that are not.
void Refuse(const Descriptor& descriptor, const SymbolFacts& facts,
            std::span<const ParameterSpan> expected, std::span<const ParameterSpan> found,
            Recognition* result) {
  if (!result->lamport) {
    result->lamport = true;
    result->algorithm = descriptor.algorithm;
    result->data_type = facts.data_type;
    result->world = facts.world;
    result->reason = "unknown parameter layout: the driver has " + Spans(found);
  }
  result->reason += "; " + descriptor.name + " has " + Spans(expected);
}

}  // namespace

std::unique_ptr<AbiTable> AbiTable::Load(std::string_view user_paths,
                                         std::vector<std::string>* errors) {
  std::unique_ptr<AbiTable> table(new AbiTable);
  while (!user_paths.empty()) {
    const std::string path(user_paths.substr(0, user_paths.find(':')));
    user_paths.remove_prefix(std::min(path.size() + 1, user_paths.size()));
    if (path.empty()) continue;
    std::string text;
    std::string error;
    if (ReadFile(path, &text, &error)) {
      table->Add(text, path, errors);
    } else if (errors != nullptr) {
      errors->push_back(error);
    }
  }
  table->Add(kBuiltinAbi, "built-in descriptors", errors);
  table->Add(kBuiltinSglangAbi, "built-in descriptors of SGLang", errors);
  table->Add(kBuiltinTensorRtLlmAbi, "built-in descriptors of TensorRT-LLM", errors);
  return table;
}

void AbiTable::Add(std::string_view text, const std::string& file,
                   std::vector<std::string>* errors) {
  DescriptorFile parsed;
  if (!ParseDescriptors(text, file, &parsed, errors)) return;
  for (const Descriptor& descriptor : parsed.descriptors) {
    for (const VersionCase& known : descriptor.versions) {
      if (known.seen.empty() || SeenPartOf(known.seen) != nullptr) continue;
      seen_parts_.push_back(std::make_unique<SeenPart>());
      seen_parts_.back()->part = known.seen;
    }
  }
  std::move(parsed.descriptors.begin(), parsed.descriptors.end(), std::back_inserter(descriptors_));
  std::move(parsed.families.begin(), parsed.families.end(), std::back_inserter(families_));
}

AbiTable::SeenPart* AbiTable::SeenPartOf(std::string_view part) const noexcept {
  for (const auto& known : seen_parts_) {
    if (known->part == part) return known.get();
  }
  return nullptr;
}

void AbiTable::Saw(std::string_view mangled) noexcept {
  for (const auto& known : seen_parts_) {
    if (mangled.find(known->part) != std::string_view::npos) known->seen = true;
  }
}

const Semantics& AbiTable::SemanticsFor(const Descriptor& descriptor,
                                        std::string_view module_path) const {
  const std::string_view version = VersionInPath(module_path, descriptor.package);
  const Semantics* seen = nullptr;
  for (const VersionCase& known : descriptor.versions) {
    if (known.seen.empty()) {
      if (Holds(known, version)) return known.semantics;
      continue;
    }
    if (!SeenPartOf(known.seen)->seen.load()) continue;
    // Two libraries in one process: nothing says which of them this kernel belongs to.
    if (seen != nullptr) return descriptor.semantics;
    seen = &known.semantics;
  }
  return seen != nullptr ? *seen : descriptor.semantics;
}

const Family* AbiTable::FamilyOf(std::string_view mangled) const noexcept {
  for (const Family& family : families_) {
    const bool belongs = family.prefix.empty()
                             ? mangled.find(family.contains) != std::string_view::npos
                             : mangled.starts_with(family.prefix);
    if (!belongs) continue;
    const bool excepted =
        std::any_of(family.except.begin(), family.except.end(), [mangled](const std::string& part) {
          return mangled.find(part) != std::string_view::npos;
        });
    if (!excepted) return &family;
  }
  return nullptr;
}

bool AbiTable::MaybeLamport(std::string_view mangled) const noexcept {
  return FamilyOf(mangled) != nullptr ||
         std::any_of(descriptors_.begin(), descriptors_.end(), [mangled](const Descriptor& known) {
           return MayMatch(known.symbol, mangled);
         });
}

Recognition AbiTable::Describe(std::string_view mangled, std::span<const ParameterSpan> parameters,
                               std::string_view module_path) const {
  Recognition result;
  for (const Descriptor& descriptor : descriptors_) {
    SymbolFacts facts;
    if (!Match(descriptor.symbol, mangled, &facts)) continue;
    const std::vector<ParameterSpan> expected = Layout(descriptor, facts.world);
    if (!SameLayout(expected, parameters)) {
      Refuse(descriptor, facts, expected, parameters, &result);
      continue;
    }
    result = Recognition{.lamport = true, .decoded = true, .descriptor = &descriptor};
    Fill(descriptor, facts, SemanticsFor(descriptor, module_path), &result);
    return result;
  }
  const Family* family = result.lamport ? nullptr : FamilyOf(mangled);
  if (family != nullptr) {
    result.lamport = true;
    result.reason = "no descriptor for this kernel of " + family->name;
  }
  return result;
}

Recognition AbiTable::Recognise(std::string_view mangled, std::span<const ParameterSpan> parameters,
                                std::string_view module_path) const noexcept {
  try {
    return Describe(mangled, parameters, module_path);
  } catch (...) {
    return {};  // out of memory: nothing is known of the kernel
  }
}

}  // namespace lamplight::lamport
