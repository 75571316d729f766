// Symbol tables of files, whole and broken.
#include "shim/stacks/elf_symbols.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>

namespace lamplight::stacks {
namespace {

// Defined in stacks_test.cc; this program is its own test file.
constexpr char kSymbol[] = "LamplightTestOuter";

std::string OwnBytes() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes) {
    char name[] = "/tmp/lamplight-elf-XXXXXX";
    const int fd = mkstemp(name);
    path_ = name;
    close(fd);
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TemporaryFile() { unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(ElfSymbols, FindsFunctionsBothWays) {
  const ElfSymbols symbols("/proc/self/exe");
  const uint64_t offset = symbols.Find(kSymbol);
  ASSERT_NE(offset, 0u);
  uint64_t inside = 0;
  EXPECT_EQ(symbols.NameAt(offset + 4, &inside), kSymbol);
  EXPECT_EQ(inside, 4u);
  EXPECT_EQ(symbols.Find("no such function"), 0u);
  EXPECT_EQ(symbols.NameAt(~uint64_t{0}, &inside), "");
}

TEST(ElfSymbols, FilesThatAreNoElfHaveNone) {
  for (const char* path : {"/nonexistent", "/proc/self", "/etc/passwd", "/dev/null", ""}) {
    EXPECT_EQ(ElfSymbols(path).Find(kSymbol), 0u) << path;
  }
}

TEST(ElfSymbols, SurvivesCutFiles) {
  const std::string whole = OwnBytes();
  for (size_t part = 0; part < 16; ++part) {
    const TemporaryFile file(whole.substr(0, whole.size() * part / 16));
    EXPECT_EQ(ElfSymbols(file.path()).Find(kSymbol), 0u);
  }
}

TEST(ElfSymbols, SurvivesBrokenHeaders) {
  const std::string whole = OwnBytes();
  const uint64_t sections = reinterpret_cast<const Elf64_Ehdr*>(whole.data())->e_shoff;
  std::minstd_rand random(1);
  const TemporaryFile file(whole);
  for (int round = 0; round < 200; ++round) {
    const bool header = round % 2 == 0;
    const uint64_t begin = header ? 0 : sections;
    const uint64_t bytes = header ? sizeof(Elf64_Ehdr) : whole.size() - sections;
    const auto at = static_cast<std::streamoff>(begin + random() % bytes);
    std::fstream edit(file.path(), std::ios::binary | std::ios::in | std::ios::out);
    edit.seekp(at);
    edit.put(static_cast<char>(random()));
    edit.close();
    const ElfSymbols symbols(file.path());
    uint64_t offset = 0;
    symbols.NameAt(symbols.Find(kSymbol), &offset);
    edit.open(file.path(), std::ios::binary | std::ios::in | std::ios::out);
    edit.seekp(at);
    edit.put(whole[static_cast<size_t>(at)]);
  }
  EXPECT_NE(ElfSymbols(file.path()).Find(kSymbol), 0u);
}

}  // namespace
}  // namespace lamplight::stacks
