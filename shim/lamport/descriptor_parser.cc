// Reads descriptor files and refuses whatever could not be decoded safely. Stateless.
#include "shim/lamport/descriptor_parser.h"

#include <algorithm>
#include <utility>

#include "shim/lamport/json_reader.h"
#include "shim/lamport/package_version.h"

namespace lamplight::lamport {
namespace {

using nlohmann::json;

constexpr uint32_t kMaxParameterBytes = 32764;  // the driver's limit for all parameters
constexpr uint32_t kMaxFlagWords = 12;          // what a snapshot holds
constexpr size_t kMaxParameters = 64;
constexpr uint32_t kMaxSlot = 64;
constexpr uint32_t kMaxPerRank = 64;

struct TypeName {
  std::string_view name;
  FieldType type;
  uint32_t size;
};
constexpr TypeName kTypes[] = {
    {"address", FieldType::kAddress, 8}, {"i32", FieldType::kSigned, 4},
    {"u32", FieldType::kUnsigned, 4},    {"i64", FieldType::kSigned, 8},
    {"u64", FieldType::kUnsigned, 8},    {"u8", FieldType::kUnsigned, 1},
    {"u16", FieldType::kUnsigned, 2},    {"f32", FieldType::kFloat, 4},
    {"bool", FieldType::kBool, 1},
};

Role ReadRole(const JsonReader& reader) {
  return reader.OwnOneOf<Role>(Role::kNone, {{"out", Role::kOut},
                                             {"prenorm", Role::kPrenorm},
                                             {"shard", Role::kShard},
                                             {"residual", Role::kResidual},
                                             {"gamma", Role::kGamma},
                                             {"peers", Role::kPeers},
                                             {"multicast", Role::kMulticast},
                                             {"local", Role::kLocal},
                                             {"diagnostic", Role::kDiagnostic},
                                             {"workspace", Role::kWorkspace},
                                             {"flags", Role::kFlags},
                                             {"tokens", Role::kTokens},
                                             {"dim", Role::kDim},
                                             {"elements", Role::kElements},
                                             {"row", Role::kRow},
                                             {"row_vectors", Role::kRowVectors},
                                             {"rank", Role::kRank},
                                             {"world", Role::kWorld},
                                             {"eps", Role::kEps},
                                             {"index", Role::kIndex},
                                             {"waits", Role::kWaits},
                                             {"generation_bytes", Role::kGenerationBytes},
                                             {"slot_bytes", Role::kSlotBytes},
                                             {"header_offset", Role::kHeaderOffset},
                                             {"scalar", Role::kScalar}});
}

bool IsAddress(Role role) { return role >= Role::kOut && role <= Role::kFlags; }

bool TypeFits(Role role, FieldType type) {
  if (IsAddress(role)) return type == FieldType::kAddress;
  switch (role) {
    case Role::kTokens:
    case Role::kDim:
    case Role::kElements:
    case Role::kRow:
    case Role::kRowVectors:
    case Role::kRank:
    case Role::kWorld:
    case Role::kIndex:
    case Role::kGenerationBytes:
    case Role::kSlotBytes:
    case Role::kHeaderOffset:
      return type == FieldType::kSigned || type == FieldType::kUnsigned;
    case Role::kEps:
      return type == FieldType::kFloat;
    case Role::kWaits:
      return type == FieldType::kBool;
    default:
      return type != FieldType::kAddress;
  }
}

// Type and size from "type"; false after a complaint.
bool ReadType(const JsonReader& reader, Field* field) {
  const std::string name = reader.Text("type");
  for (const TypeName& known : kTypes) {
    if (known.name != name) continue;
    field->type = known.type;
    field->size = known.size;
    return true;
  }
  std::string known_names;
  for (const TypeName& known : kTypes) known_names += " " + std::string(known.name);
  reader.Member("type").Complain((name.empty() ? "is missing" : "is \"" + name + "\"") +
                                 ", expected one of" + known_names);
  return false;
}

class KernelParser {
 public:
  KernelParser(const JsonReader& reader, const std::string& file) : reader_(reader) {
    result_.source = file;
  }

  Descriptor Parse() {
    if (!reader_.IsObject({"name", "era", "algorithm", "data_type", "flags", "compare", "sentinel",
                           "advances", "arrivals", "reads_early", "own_flag_first", "versions",
                           "package", "symbol", "parameters"})) {
      return {};
    }
    ReadIdentity();
    ReadSemantics(reader_, &result_.semantics);
    ReadVersions();
    ReadSymbol();
    ReadParameters();
    CheckRoles();
    return std::move(result_);
  }

 private:
  void ReadIdentity() {
    result_.name = reader_.Member("name").OwnText();
    if (!reader_.Has("algorithm")) reader_.Member("algorithm").Complain("is missing");
    result_.algorithm =
        reader_.OneOf<trace::Algorithm>("algorithm", trace::Algorithm::kUnknown,
                                        {{"oneshot", trace::Algorithm::kOneShot},
                                         {"twoshot", trace::Algorithm::kTwoShot},
                                         {"rmsnorm", trace::Algorithm::kRmsNorm},
                                         {"unicast-oneshot", trace::Algorithm::kUnicastOneShot},
                                         {"unicast-twoshot", trace::Algorithm::kUnicastTwoShot},
                                         {"epoch-oneshot", trace::Algorithm::kEpochOneShot},
                                         {"epoch-twoshot", trace::Algorithm::kEpochTwoShot},
                                         {"push-oneshot", trace::Algorithm::kPushOneShot},
                                         {"push-twoshot", trace::Algorithm::kPushTwoShot},
                                         {"unknown", trace::Algorithm::kUnknown}});
    result_.data_type = reader_.OneOf<trace::DataType>("data_type", trace::DataType::kUnknown,
                                                       {{"f32", trace::DataType::kF32},
                                                        {"f16", trace::DataType::kF16},
                                                        {"bf16", trace::DataType::kBf16}});
    result_.sentinel = reader_.OneOf<Sentinel>("sentinel", Sentinel::kWord,
                                               {{"word", Sentinel::kWord},
                                                {"element", Sentinel::kElement},
                                                {"zero-word", Sentinel::kZeroWord},
                                                {"zero-element", Sentinel::kZeroElement}});
    result_.advances = reader_.OneOf<Advances>("advances", Advances::kAlways,
                                               {{"true", Advances::kAlways},
                                                {"false", Advances::kNever},
                                                {"waits", Advances::kWhenWaiting}});
    result_.arrivals = reader_.OneOf<Arrivals>("arrivals", Arrivals::kUnknown,
                                               {{"blocks", Arrivals::kBlocks},
                                                {"clusters", Arrivals::kClusters},
                                                {"unknown", Arrivals::kUnknown}});
  }

  void ReadSemantics(const JsonReader& from, Semantics* semantics) {
    semantics->era = from.Text("era", semantics->era);
    semantics->compare = from.OneOf<protocol::Compare>("compare", semantics->compare,
                                                       {{"ftz", protocol::Compare::kFlushToZero},
                                                        {"bitwise", protocol::Compare::kBitwise},
                                                        {"unknown", protocol::Compare::kUnknown}});
    if (from.Has("flags")) ReadFlags(from.Member("flags"), semantics);
    const auto flag = [&](const char* key, bool* value) {
      *value = from.OneOf<bool>(key, *value, {{"true", true}, {"false", false}});
    };
    flag("reads_early", &semantics->reads_early);
    flag("own_flag_first", &semantics->own_flag_first);
  }

  void ReadFlags(const JsonReader& flags, Semantics* semantics) {
    if (!flags.IsObject({"layout", "words", "slot_per_rank", "slot", "sizes_slot"})) return;
    semantics->flag_layout =
        flags.OneOf<trace::FlagLayout>("layout", trace::FlagLayout::kUnknown,
                                       {{"A", trace::FlagLayout::kEraA},
                                        {"B", trace::FlagLayout::kEraB},
                                        {"C", trace::FlagLayout::kEraC},
                                        {"unicast", trace::FlagLayout::kUnicast},
                                        {"epoch", trace::FlagLayout::kEpoch},
                                        {"phases", trace::FlagLayout::kPhases},
                                        {"unknown", trace::FlagLayout::kUnknown}});
    semantics->flag_words = static_cast<uint16_t>(flags.Number("words", 0, 1, kMaxFlagWords));
    if (!flags.Has("words")) flags.Member("words").Complain("is missing");
    result_.slot_per_rank =
        static_cast<uint16_t>(flags.Number("slot_per_rank", result_.slot_per_rank, 0, kMaxSlot));
    result_.slot = static_cast<uint16_t>(flags.Number("slot", result_.slot, 0, kMaxSlot));
    semantics->sizes_slot.reset();
    if (flags.Has("sizes_slot")) {
      semantics->sizes_slot = static_cast<uint16_t>(flags.Number("sizes_slot", 0, 0, kMaxSlot));
      if (semantics->flag_layout != trace::FlagLayout::kUnicast) {
        flags.Complain("has \"sizes_slot\", which is for the layout \"unicast\" only");
      }
    }
  }

  void ReadVersions() {
    if (!reader_.Has("versions")) return;
    for (const JsonReader& entry : reader_.Array("versions")) {
      if (!entry.IsObject({"from", "below", "seen", "era", "compare", "flags", "reads_early",
                           "own_flag_first"})) {
        continue;
      }
      VersionCase version;
      version.from = ReadVersion(entry, "from");
      version.below = ReadVersion(entry, "below");
      version.seen = entry.Text("seen");
      if (version.seen.empty()) {
        result_.package = reader_.Member("package").OwnText();
      } else if (entry.Has("from") || entry.Has("below")) {
        entry.Complain("has \"seen\" and a version, expected one of them");
      }
      version.semantics = result_.semantics;
      ReadSemantics(entry, &version.semantics);
      result_.versions.push_back(std::move(version));
    }
  }

  static std::string ReadVersion(const JsonReader& entry, const char* key) {
    std::string version = entry.Text(key);
    if (version.empty() || IsVersion(version)) return version;
    entry.Member(key).Complain("is \"" + version + "\", expected a version such as \"0.6.12\"");
    return {};
  }

  void ReadSymbol() {
    const JsonReader symbol = reader_.Member("symbol");
    if (!symbol.IsObject({"prefix", "contains", "suffix", "template"})) return;
    result_.symbol.prefix = symbol.Text("prefix");
    result_.symbol.contains = symbol.Text("contains");
    result_.symbol.suffix = symbol.Text("suffix");
    if (symbol.Has("prefix") == symbol.Has("contains")) {
      symbol.Complain("needs either \"prefix\" or \"contains\"");
    }
    if (!symbol.Has("template")) return;
    result_.symbol.templated = true;
    for (const JsonReader& argument : symbol.Array("template")) {
      result_.symbol.arguments.push_back(
          argument.OwnOneOf<Role>(Role::kNone, {{"world", Role::kWorld},
                                                {"data_type", Role::kDataType},
                                                {"dim", Role::kDim},
                                                {"waits", Role::kWaits},
                                                {"-", Role::kNone}}));
    }
  }

  void ReadParameters() {
    const std::vector<JsonReader> parameters = reader_.Array("parameters");
    if (parameters.empty() || parameters.size() > kMaxParameters) {
      reader_.Member("parameters")
          .Complain("has " + std::to_string(parameters.size()) + " entries, expected 1 to " +
                    std::to_string(kMaxParameters));
      return;
    }
    for (const JsonReader& parameter : parameters) ReadParameter(parameter);
  }

  void ReadParameter(const JsonReader& reader) {
    if (!reader.IsObject({"role", "type", "size", "size_per_rank", "align", "fields"})) return;
    Parameter parameter;
    Field field;
    field.parameter = static_cast<uint16_t>(result_.parameters.size());
    if (reader.Has("type") || reader.Has("role")) {
      if (ReadType(reader, &field)) parameter = {field.size, 0, field.size};
      if (reader.Has("role")) AddField(reader, reader.Member("role"), field);
    } else {
      parameter.size = reader.Number("size", 0, 1, kMaxParameterBytes);
      parameter.size_per_rank = reader.Number("size_per_rank", 0, 1, kMaxParameterBytes / 2);
      parameter.alignment = reader.Number("align", 1, 1, 256);
      if (parameter.size + parameter.size_per_rank == 0) {
        reader.Complain("needs \"type\", \"size\" or \"size_per_rank\"");
      }
      if (reader.Has("fields")) ReadFields(reader, parameter, field.parameter);
    }
    result_.parameters.push_back(parameter);
  }

  void ReadFields(const JsonReader& reader, const Parameter& parameter, uint16_t number) {
    for (const JsonReader& entry : reader.Array("fields")) {
      if (!entry.IsObject({"role", "type", "offset", "offset_per_rank", "stride_by_rank"})) {
        continue;
      }
      Field field;
      field.parameter = number;
      if (!entry.Has("offset")) entry.Member("offset").Complain("is missing");
      field.offset = entry.Number("offset", 0, 0, kMaxParameterBytes);
      field.offset_per_rank = entry.Number("offset_per_rank", 0, 0, kMaxPerRank);
      field.stride_by_rank = entry.Number("stride_by_rank", 0, 0, kMaxPerRank);
      if (!ReadType(entry, &field) || !Inside(entry, field, parameter)) continue;
      AddField(entry, entry.Member("role"), field);
    }
  }

  // In a struct of every number of ranks. An entry for each rank lies inside for the last of them,
  // where the array is as long as there are ranks, and else for as many as there is room for, which
  // Decode looks at.
  static bool Inside(const JsonReader& entry, const Field& field, const Parameter& parameter) {
    if (field.offset_per_rank > parameter.size_per_rank) {
      entry.Complain("has an offset_per_rank of " + std::to_string(field.offset_per_rank) +
                     ", above the struct's size_per_rank of " +
                     std::to_string(parameter.size_per_rank));
      return false;
    }
    const uint32_t end = field.offset + field.size;
    if (end <= parameter.size ||
        (end <= parameter.size + parameter.size_per_rank && field.stride_by_rank != 0)) {
      return true;
    }
    entry.Complain("ends at byte " + std::to_string(end) + ", behind the struct's " +
                   std::to_string(parameter.size));
    return false;
  }

  void AddField(const JsonReader& entry, const JsonReader& role, Field field) {
    field.role = ReadRole(role);
    if (field.role == Role::kNone) return;
    if (!TypeFits(field.role, field.type)) {
      entry.Complain("has a type that does not fit its role");
      return;
    }
    if (field.role != Role::kScalar && Has(field.role)) {
      role.Complain("occurs a second time");
      return;
    }
    result_.fields.push_back(field);
  }

  bool Has(Role role) const {
    return std::any_of(result_.fields.begin(), result_.fields.end(),
                       [role](const Field& field) { return field.role == role; });
  }
  bool HasArgument(Role role) const {
    const std::vector<Role>& arguments = result_.symbol.arguments;
    return std::find(arguments.begin(), arguments.end(), role) != arguments.end();
  }

  void CheckRoles() {
    result_.flags_indirect = Has(Role::kWorkspace);
    const bool world = Has(Role::kWorld) || HasArgument(Role::kWorld);
    const bool dim = Has(Role::kDim) || HasArgument(Role::kDim);
    if (Has(Role::kFlags) == Has(Role::kWorkspace)) {
      reader_.Complain("needs either a \"flags\" or a \"workspace\" parameter");
    }
    const bool row = Has(Role::kRow) || Has(Role::kRowVectors);
    if (!Has(Role::kTokens) && !(Has(Role::kElements) && dim) && !row) {
      reader_.Complain(
          "needs a \"tokens\" parameter, or \"elements\" and \"dim\", or \"row\" or "
          "\"row_vectors\"");
    }
    if (Has(Role::kSlotBytes) && !world) {
      reader_.Complain("needs the role \"world\", since slot_bytes is set");
    }
    const auto by_rank = [](const Field& field) { return field.stride_by_rank != 0; };
    if (std::ranges::any_of(result_.fields, by_rank) && !(Has(Role::kRank) && world)) {
      reader_.Complain("needs the roles \"rank\" and \"world\", since stride_by_rank is set");
    }
    if (result_.flags_indirect && result_.slot_per_rank != 0 && !world) {
      reader_.Complain("needs the role \"world\", since slot_per_rank is set");
    }
    if (result_.advances == Advances::kWhenWaiting && !Has(Role::kWaits) &&
        !HasArgument(Role::kWaits)) {
      reader_.Complain("needs the role \"waits\", since advances is \"waits\"");
    }
    if (result_.semantics.flag_words == 0) reader_.Complain("needs \"flags\" with \"words\"");
    if (!HasArgument(Role::kWorld) &&
        std::any_of(result_.parameters.begin(), result_.parameters.end(),
                    [](const Parameter& p) { return p.size_per_rank != 0; })) {
      reader_.Complain("needs \"world\" as a template argument, since size_per_rank is set");
    }
  }

  const JsonReader& reader_;
  Descriptor result_;
};

Family ParseFamily(const JsonReader& reader) {
  Family family;
  if (!reader.IsObject({"name", "prefix", "contains", "except"})) return family;
  family.name = reader.Member("name").OwnText();
  family.prefix = reader.Text("prefix");
  family.contains = reader.Text("contains");
  if (reader.Has("prefix") == reader.Has("contains")) {
    reader.Complain("needs either \"prefix\" or \"contains\"");
  }
  if (!reader.Has("except")) return family;
  for (const JsonReader& part : reader.Array("except")) family.except.push_back(part.OwnText());
  return family;
}

DescriptorFile ParseFile(const json& document, JsonErrors* errors) {
  DescriptorFile file;
  const JsonReader root(document, "", errors);
  if (!root.IsObject({"lamplight_abi", "about", "families", "kernels"})) return file;
  if (!root.Has("lamplight_abi")) root.Member("lamplight_abi").Complain("is missing, expected 1");
  root.Number("lamplight_abi", 1, 1, 1);
  if (root.Has("families")) {
    for (const JsonReader& family : root.Array("families")) {
      file.families.push_back(ParseFamily(family));
    }
  }
  for (const JsonReader& kernel : root.Array("kernels")) {
    file.descriptors.push_back(KernelParser(kernel, errors->file()).Parse());
  }
  return file;
}

}  // namespace

bool ParseDescriptors(std::string_view text, const std::string& file, DescriptorFile* result,
                      std::vector<std::string>* errors) {
  JsonErrors file_errors(file, errors);
  json document;
  try {
    document = json::parse(text);
  } catch (const json::exception& error) {
    file_errors.Add("", std::string("is not JSON: ") + error.what());
    return false;
  }
  DescriptorFile parsed = ParseFile(document, &file_errors);
  if (file_errors.count() != 0) return false;
  *result = std::move(parsed);
  return true;
}

}  // namespace lamplight::lamport
