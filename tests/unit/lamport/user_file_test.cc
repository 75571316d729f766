// Descriptor files from users: what they can add, and what is said about bad ones.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "shim/lamport/descriptor_parser.h"
#include "shim/lamport/recognition.h"
#include "tests/unit/lamport/field_kernels.h"

namespace lamplight::lamport {
namespace {

constexpr char kKernel[] = R"({
  "name": "mine", "era": "2", "algorithm": "oneshot", "data_type": "bf16",
  "flags": {"layout": "C", "words": 9}, "compare": "bitwise", "advances": true,
  "arrivals": "blocks",
  "symbol": {"prefix": "_ZN4mine9allReduceE", "suffix": "jPj"},
  "parameters": [
    {"role": "peers", "type": "address"}, {"role": "tokens", "type": "i32"},
    {"role": "dim", "type": "i32"}, {"role": "rank", "type": "i32"},
    {"role": "world", "type": "i32"}, {"role": "index", "type": "u32"},
    {"role": "flags", "type": "address"}]
})";

std::string File(const std::string& kernel) {
  return R"({"lamplight_abi": 1, "kernels": [)" + kernel + "]}";
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::vector<std::string> Errors(const std::string& text) {
  DescriptorFile file;
  std::vector<std::string> errors;
  const bool parsed = ParseDescriptors(text, "my.json", &file, &errors);
  EXPECT_EQ(parsed, errors.empty());
  EXPECT_TRUE(parsed || file.descriptors.empty());
  return errors;
}

void ExpectError(const std::string& text, const std::string& place, const std::string& said) {
  const std::vector<std::string> errors = Errors(text);
  const std::string begin = "my.json: " + place + " ";
  for (const std::string& error : errors) {
    if (error.starts_with(begin) && error.find(said) != std::string::npos) return;
  }
  ADD_FAILURE() << "no error at " << place << " with \"" << said << "\" among\n"
                << ::testing::PrintToString(errors);
}

class UserFile : public ::testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/lamplight-abi-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = folder_ / name;
    std::ofstream(path) << text;
    return path;
  }

  std::filesystem::path folder_;
};

TEST_F(UserFile, AddsAKernelWithAHostIndex) {
  std::vector<std::string> errors;
  const auto table = AbiTable::Load(Write("a.json", File(kKernel)), &errors);
  EXPECT_EQ(errors, std::vector<std::string>());
  const std::vector<ParameterSpan> spans = {{0, 8},  {8, 4},  {12, 4}, {16, 4},
                                            {20, 4}, {24, 4}, {32, 8}};
  const Recognition found = table->Recognise("_ZN4mine9allReduceEPPviiiijPj", spans);
  ASSERT_TRUE(found.decoded) << found.reason;
  EXPECT_EQ(found.descriptor->name, "mine");
  EXPECT_EQ(found.era, "2");
  EXPECT_EQ(found.data_type, trace::DataType::kBf16);
  uint64_t peers = 0x1000;
  uint64_t flags = 0x2000;
  int32_t tokens = 3, dim = 64, rank = 1, world = 2;
  uint32_t index = 2;
  void* pointers[] = {&peers, &tokens, &dim, &rank, &world, &index, &flags};
  DecodedCall call;
  ASSERT_TRUE(Decode(found, pointers, LaunchShape{}, &call));
  EXPECT_EQ(call.call.index_argument, 2u);
  EXPECT_EQ(call.call.world, 2u);
  EXPECT_EQ(call.call.flags, trace::kCallAdvances | trace::kCallHostIndex);
  world = 1;
  EXPECT_FALSE(Decode(found, pointers, LaunchShape{}, &call));
  EXPECT_FALSE(table->Recognise("_ZN4mine9allReduceEPPviiiij", spans).lamport);
}

TEST_F(UserFile, WinsOverTheBuiltInDescriptors) {
  const FieldKernel& kernel = FindKernel("0.7.2", "22twoshot");
  const std::string mine = R"({
    "name": "mine", "algorithm": "twoshot", "flags": {"layout": "C", "words": 9},
    "symbol": {"prefix": "_ZN10flashinfer22trtllm_mnnvl_allreduce22twoshotAllreduceKernel"},
    "parameters": [{"size": 128, "align": 8, "fields": [
      {"role": "tokens", "type": "i32", "offset": 72},
      {"role": "flags", "type": "address", "offset": 120}]}]})";
  const auto table = AbiTable::Load(Write("a.json", File(mine)), nullptr);
  EXPECT_EQ(table->Recognise(kernel.symbol, kernel.parameters).descriptor->name, "mine");
}

TEST_F(UserFile, SizesMayLieApartWhereAnotherKernelTellsSo) {
  const std::string mine = R"({
    "name": "mine", "algorithm": "unicast-oneshot",
    "flags": {"layout": "unknown", "words": 3, "slot_per_rank": 3, "slot": 0},
    "versions": [{"seen": "mine4arms", "flags": {"layout": "unicast", "words": 3, "sizes_slot": 1}}],
    "symbol": {"prefix": "_ZN4mine9allReduce"},
    "parameters": [
      {"role": "workspace", "type": "address"}, {"role": "tokens", "type": "i32"},
      {"role": "dim", "type": "i32"}, {"role": "rank", "type": "i32"},
      {"role": "world", "type": "i32"}]})";
  const auto table = AbiTable::Load(Write("a.json", File(mine)), nullptr);
  const std::vector<ParameterSpan> spans = {{0, 8}, {8, 4}, {12, 4}, {16, 4}, {20, 4}};
  uint64_t workspace = 0x1000;
  int32_t tokens = 3, dim = 64, rank = 1, world = 2;
  void* pointers[] = {&workspace, &tokens, &dim, &rank, &world};
  const auto decode = [&] {
    DecodedCall call;
    const Recognition found = table->Recognise("_ZN4mine9allReduceEv", spans);
    EXPECT_TRUE(Decode(found, pointers, LaunchShape{}, &call));
    return call;
  };
  EXPECT_EQ(decode().flags_address, 0x1000u + 6 * 8);
  EXPECT_EQ(decode().sizes_address, 0u);
  table->Saw("_ZN4mine4armsEPfm");
  EXPECT_EQ(decode().flags_address, 0x1000u + 6 * 8);
  EXPECT_EQ(decode().sizes_address, 0x1000u + 7 * 8);
  EXPECT_EQ(decode().peers_address, 0x1000u + 4 * 8);
}

TEST_F(UserFile, OneBadFileDoesNotSpoilTheOthers) {
  std::vector<std::string> errors;
  const std::string paths = Write("bad.json", "{") + "::" + Write("good.json", File(kKernel)) +
                            ":" + (folder_ / "absent.json").string() + ":" + folder_.string();
  const auto table = AbiTable::Load(paths, &errors);
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_NE(errors[0].find("bad.json: / is not JSON"), std::string::npos) << errors[0];
  EXPECT_NE(errors[1].find("absent.json: cannot be opened"), std::string::npos) << errors[1];
  EXPECT_NE(errors[2].find("is empty or no regular file"), std::string::npos) << errors[2];
  EXPECT_TRUE(table->MaybeLamport("_ZN4mine9allReduceEPPviiiijPj"));
  EXPECT_TRUE(table->MaybeLamport(FindKernel("0.7.2", "28oneshot").symbol));
}

TEST_F(UserFile, TheTestServersFileDescribesItsKernel) {
  std::vector<std::string> errors;
  const auto table = AbiTable::Load(LAMPLIGHT_SERVER_ABI, &errors);
  EXPECT_EQ(errors, std::vector<std::string>());
  const std::vector<ParameterSpan> spans = {{0, 8},  {8, 8},  {16, 8}, {24, 8}, {32, 8}, {40, 8},
                                            {48, 4}, {52, 4}, {56, 4}, {60, 4}, {64, 8}, {72, 4}};
  const Recognition found = table->Recognise(
      "_ZN9piecewise25bakedIndexAllreduceKernelILi4EEEvP13__nv_bfloat16S2_PKS1_S4_S4_PS2_iifiPjj",
      spans);
  EXPECT_TRUE(found.decoded) << found.reason;
  EXPECT_EQ(found.world, 4u);
}

TEST_F(UserFile, RefusesAFileBeyondTheLimit) {
  std::vector<std::string> errors;
  AbiTable::Load(Write("a.json", std::string(kMaxFileBytes + 1, ' ')), &errors);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_NE(errors[0].find("larger than 1 MiB"), std::string::npos);
}

TEST(DescriptorErrors, NamePlaceValueAndFix) {
  const std::string good = File(kKernel);
  EXPECT_EQ(Errors(good), std::vector<std::string>());
  ExpectError("[]", "/", "expected an object");
  ExpectError(R"({"kernels": []})", "/lamplight_abi", "expected 1");
  ExpectError(R"({"lamplight_abi": 2, "kernels": []})", "/lamplight_abi", "is 2");
  ExpectError(R"({"lamplight_abi": 1})", "/kernels", "is missing, expected an array");
  ExpectError(R"({"lamplight_abi": 1, "kernels": [], "kernel": 3})", "/kernel", "not a known key");
  ExpectError(File("7"), "/kernels/0", "is 7, expected an object");
  ExpectError(Replaced(good, "oneshot", "ring"), "/kernels/0/algorithm",
              "is \"ring\", expected one of oneshot, twoshot");
  ExpectError(Replaced(good, "\"words\": 9", "\"words\": 99"), "/kernels/0/flags/words",
              "is 99, expected a whole number from 1 to 12");
  ExpectError(Replaced(good, "\"i32\"", "\"int\""), "/kernels/0/parameters/1/type",
              "is \"int\", expected one of address i32");
  ExpectError(Replaced(good, "\"tokens\"", "\"token\""), "/kernels/0/parameters/1/role",
              "is \"token\", expected one of out");
  ExpectError(Replaced(good, "\"advances\": true", "\"advances\": 1"), "/kernels/0/advances",
              "is 1, expected one of true, false, waits");
  ExpectError(Replaced(good, "\"advances\": true",
                       R"("versions": [{"seen": "x", "from": "1.0"}], "advances": true)"),
              "/kernels/0/versions/0", "has \"seen\" and a version");
  ExpectError(Replaced(good, "\"words\": 9", R"("words": 9, "sizes_slot": -1)"),
              "/kernels/0/flags/sizes_slot", "is -1");
  ExpectError(Replaced(good, "\"words\": 9", R"("words": 9, "sizes_slot": 1)"), "/kernels/0/flags",
              "is for the layout \"unicast\"");
  ExpectError(Replaced(good, "\"name\": \"mine\"", "\"name\": \"\""), "/kernels/0/name",
              "expected a non-empty string");
}

TEST(DescriptorErrors, RefuseWhatCouldNotBeDecoded) {
  const std::string good = File(kKernel);
  ExpectError(Replaced(good, "\"role\": \"flags\", ", ""), "/kernels/0", "either a \"flags\"");
  ExpectError(Replaced(good, "\"role\": \"tokens\", ", ""), "/kernels/0", "needs a \"tokens\"");
  ExpectError(Replaced(good, "\"role\": \"dim\"", "\"role\": \"rank\""),
              "/kernels/0/parameters/3/role", "occurs a second time");
  ExpectError(Replaced(good, "\"role\": \"peers\", \"type\": \"address\"",
                       "\"role\": \"peers\", \"type\": \"i32\""),
              "/kernels/0/parameters/0", "type that does not fit its role");
  ExpectError(Replaced(good, "\"advances\": true", "\"advances\": \"waits\""), "/kernels/0",
              "needs the role \"waits\"");
  ExpectError(Replaced(good, "\"prefix\": \"_ZN4mine9allReduceE\", ", ""), "/kernels/0/symbol",
              "either \"prefix\" or \"contains\"");
  ExpectError(Replaced(good, R"({"role": "flags", "type": "address"})",
                       R"({"size": 16, "fields": [
                          {"role": "flags", "type": "address", "offset": 12}]})"),
              "/kernels/0/parameters/6/fields/0", "ends at byte 20, behind the struct's 16");
  ExpectError(Replaced(good, R"({"role": "flags", "type": "address"})", R"({"size": 40000})"),
              "/kernels/0/parameters/6/size", "is 40000, expected a whole number from 1 to 32764");
  ExpectError(Replaced(good, R"({"role": "flags", "type": "address"})", R"({"size_per_rank": 8})"),
              "/kernels/0", "size_per_rank");
}

TEST(DescriptorErrors, SurviveEveryCutAndChangedByte) {
  const std::string good = File(kKernel);
  for (size_t i = 0; i < good.size(); ++i) {
    DescriptorFile file;
    std::vector<std::string> errors;
    EXPECT_FALSE(ParseDescriptors(good.substr(0, i), "f", &file, &errors));
    std::string changed = good;
    for (const char byte : {'\0', '"', '{', ']', '-', '\xff'}) {
      changed[i] = byte;
      const size_t before = errors.size();
      const bool parsed = ParseDescriptors(changed, "f", &file, &errors);
      EXPECT_EQ(parsed, errors.size() == before) << changed;
    }
    EXPECT_FALSE(errors.empty());
  }
}

TEST(DescriptorErrors, DeepNestingIsRefusedWithoutACrash) {
  EXPECT_FALSE(Errors(std::string(500000, '[')).empty());
}

TEST(DescriptorErrors, AreCutAfterTwenty) {
  std::string kernels = "1";
  for (int i = 0; i < 100; ++i) kernels += ",1";
  const std::vector<std::string> errors = Errors(File(kernels));
  ASSERT_EQ(errors.size(), 20u);
  EXPECT_NE(errors.back().find("further errors"), std::string::npos);
}

}  // namespace
}  // namespace lamplight::lamport
