// Creation and growth of the trace file, and every reason why there may be none.
#include "shim/recorder/trace_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/unit/recorder/in_child.h"
#include "tests/unit/recorder/parsed_trace.h"
#include "tests/unit/recorder/temporary_folder.h"

namespace lamplight::shim {
namespace {

constexpr uint64_t kRingBytes = 64 << 10;

trace::Stream MakeStream(uint32_t id) {
  trace::Stream record{};
  record.header.bytes = sizeof(record);
  record.header.type = static_cast<uint16_t>(trace::RecordType::kStream);
  record.stream_id = id;
  return record;
}

std::string ErrorOfCreate(const std::string& directory, uint64_t ring_bytes = kRingBytes) {
  std::string error;
  EXPECT_EQ(TraceFile::Create(directory, ring_bytes, &error), nullptr);
  return error;
}

TEST(TraceFile, IsNamedAfterHostProcessAndTime) {
  test::TemporaryFolder folder;
  std::string error;
  const auto file = TraceFile::Create(folder.path(), kRingBytes, &error);
  ASSERT_NE(file, nullptr) << error;
  char host[256] = "";
  gethostname(host, sizeof(host));
  EXPECT_EQ(file->path(), folder.path() + "/" + host + "-" + std::to_string(getpid()) + "-" +
                              std::to_string(file->header().start_ns) + ".lamptrace");
  EXPECT_EQ(folder.Files(), std::vector<std::string>{file->path()});
}

TEST(TraceFile, IsReadableBeforeTheFirstRecordAndForItsOwnerOnly) {
  test::TemporaryFolder folder;
  std::string error;
  const auto file = TraceFile::Create(folder.path(), kRingBytes, &error);
  ASSERT_NE(file, nullptr) << error;
  const test::ParsedTrace trace = test::ParseTraceFile(file->path());
  EXPECT_TRUE(trace.errors.empty());
  EXPECT_EQ(trace.header.pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(trace.header.major, trace::kMajor);
  EXPECT_EQ(trace.header.ring_bytes, kRingBytes);
  struct stat status {};
  ASSERT_EQ(stat(file->path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_GE(static_cast<uint64_t>(status.st_blocks) * 512, trace.header.defs_offset);
}

TEST(TraceFile, RoundsTheRingUpToPages) {
  test::TemporaryFolder folder;
  std::string error;
  const auto file = TraceFile::Create(folder.path(), kRingBytes + 1, &error);
  ASSERT_NE(file, nullptr) << error;
  EXPECT_EQ(file->header().ring_bytes, kRingBytes + 4096);
}

TEST(TraceFile, DefinitionsGrowPastManyChunks) {
  test::TemporaryFolder folder;
  std::string error;
  const auto file = TraceFile::Create(folder.path(), kRingBytes, &error);
  ASSERT_NE(file, nullptr) << error;
  const uint32_t count = 3 * (1 << 20) / sizeof(trace::Stream);
  for (uint32_t id = 1; id <= count; ++id) {
    trace::Stream record = MakeStream(id);
    ASSERT_TRUE(file->AppendDefinition(&record.header, &error)) << error;
  }
  const test::ParsedTrace trace = test::ParseTraceFile(file->path());
  EXPECT_TRUE(trace.errors.empty());
  ASSERT_EQ(trace.definitions.size(), count);
  for (uint32_t id = 1; id <= count; ++id) {
    ASSERT_EQ(trace.definitions[id - 1].As<trace::Stream>().stream_id, id);
  }
}

TEST(TraceFile, CreatesMissingFolders) {
  test::TemporaryFolder folder;
  std::string error;
  const auto file = TraceFile::Create(folder.path() + "/a/b/c", kRingBytes, &error);
  ASSERT_NE(file, nullptr) << error;
  EXPECT_TRUE(test::ParseTraceFile(file->path()).errors.empty());
}

TEST(TraceFile, NamesTheFolderThatCannotBeCreated) {
  test::TemporaryFolder folder;
  const std::string obstacle = folder.path() + "/obstacle";
  std::ofstream(obstacle) << "a file";
  for (const std::string& directory : {obstacle, obstacle + "/below", std::string("/proc/none")}) {
    const std::string error = ErrorOfCreate(directory);
    EXPECT_NE(error.find(directory), std::string::npos) << error;
    EXPECT_NE(error.find("LAMPLIGHT_DIR"), std::string::npos) << error;
  }
}

TEST(TraceFile, NamesTheVariableWhereNoFolderIsGiven) {
  EXPECT_NE(ErrorOfCreate("").find("LAMPLIGHT_DIR"), std::string::npos);
}

TEST(TraceFile, RefusesImpossibleRings) {
  test::TemporaryFolder folder;
  for (uint64_t bytes : {uint64_t{0}, uint64_t{4096}, ~uint64_t{0}}) {
    const std::string error = ErrorOfCreate(folder.path(), bytes);
    EXPECT_NE(error.find(std::to_string(bytes)), std::string::npos) << error;
    EXPECT_NE(error.find("LAMPLIGHT_RING_MB"), std::string::npos) << error;
  }
  EXPECT_TRUE(folder.Files().empty());
}

TEST(TraceFile, SaysThatAReadOnlyFolderCannotBeWritten) {
  test::TemporaryFolder folder;
  chmod(folder.path().c_str(), 0555);
  const std::string error = test::InChild([&folder] {
    constexpr uid_t kNobody = 65534;  // root may write anywhere
    if (geteuid() == 0 && setuid(kNobody) != 0) return std::string("setuid failed");
    return ErrorOfCreate(folder.path());
  });
  EXPECT_NE(error.find("Permission denied"), std::string::npos) << error;
  EXPECT_NE(error.find(folder.path()), std::string::npos) << error;
  EXPECT_TRUE(folder.Files().empty());
}

// With the default action of SIGXFSZ in force: the limit must be seen before it is hit.
TEST(TraceFile, FileSizeLimitIsAnErrorAndNoSignal) {
  test::TemporaryFolder folder;
  const std::string error = test::InChild([&folder] {
    const rlimit limit{kRingBytes, kRingBytes};
    setrlimit(RLIMIT_FSIZE, &limit);
    return ErrorOfCreate(folder.path());
  });
  EXPECT_NE(error.find("File too large"), std::string::npos) << error;
  EXPECT_TRUE(folder.Files().empty());
}

TEST(TraceFile, CountsDefinitionsBeyondTheFileSizeLimit) {
  test::TemporaryFolder folder;
  const std::string result = test::InChild([&folder] {
    constexpr uint64_t kLimit = trace::kHeaderBytes + kRingBytes + 8192;  // less than a chunk more
    const rlimit limit{kLimit, kLimit};
    setrlimit(RLIMIT_FSIZE, &limit);
    std::string error;
    auto file = TraceFile::Create(folder.path(), kRingBytes, &error);
    for (uint32_t id = 1; file != nullptr && id <= 200; ++id) {
      trace::Stream record = MakeStream(id);
      file->AppendDefinition(&record.header, &error);
    }
    return error;
  });
  EXPECT_NE(result.find("File too large"), std::string::npos) << result;
  ASSERT_EQ(folder.Files().size(), 1u) << result;
  const test::ParsedTrace trace = test::ParseTraceFile(folder.Files()[0]);
  EXPECT_TRUE(trace.errors.empty());
  EXPECT_EQ(trace.definitions.size(), 8192 / sizeof(trace::Stream));
  EXPECT_EQ(trace.header.definitions_dropped, 200 - trace.definitions.size());
}

// Mounts a file system of `bytes` over `folder`, seen by this process only.
bool MountSmallFileSystem(const std::string& folder, uint64_t bytes) {
  const int spaces = geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;
  if (unshare(spaces) != 0) return false;
  mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  const std::string size = "size=" + std::to_string(bytes);
  return mount("tmpfs", folder.c_str(), "tmpfs", 0, size.c_str()) == 0;
}

TEST(TraceFile, LeavesNothingOnAFullDisk) {
  test::TemporaryFolder folder;
  const std::string error = test::InChild([&folder] {
    if (!MountSmallFileSystem(folder.path(), 256 << 10)) return std::string("no mount");
    const std::string said = ErrorOfCreate(folder.path(), 1 << 20);
    return folder.Files().empty() ? said : "left " + folder.Files()[0];
  });
  if (error == "no mount") GTEST_SKIP() << "mounting is not allowed here";
  EXPECT_NE(error.find("No space left on device"), std::string::npos) << error;
  EXPECT_NE(error.find("LAMPLIGHT_RING_MB"), std::string::npos) << error;
}

// The ring's blocks exist already: a disk that fills up later costs definitions, and no SIGBUS.
TEST(TraceFile, RingStaysWritableWhenTheDiskFillsUp) {
  test::TemporaryFolder folder;
  const std::string result = test::InChild([&folder] {
    if (!MountSmallFileSystem(folder.path(), 256 << 10)) return std::string("no mount");
    std::string error;
    const auto file = TraceFile::Create(folder.path(), kRingBytes, &error);
    if (file == nullptr) return error;
    std::ofstream(folder.path() + "/filler") << std::string(1 << 20, 'f');
    trace::Stream record = MakeStream(1);
    const bool defined = file->AppendDefinition(&record.header, &error);
    for (int i = 0; i < 5000; ++i) file->ring().Write(&record.header);
    const test::ParsedTrace trace = test::ParseTraceFile(file->path());
    if (!trace.errors.empty()) return trace.errors[0];
    if (defined || trace.header.definitions_dropped != 1) return std::string("not counted");
    return trace.events.size() * sizeof(record) <= kRingBytes ? error : std::string("too many");
  });
  if (result == "no mount") GTEST_SKIP() << "mounting is not allowed here";
  EXPECT_NE(result.find("No space left on device"), std::string::npos) << result;
}

TEST(TraceFile, NoticesThatItWasShortened) {
  test::TemporaryFolder folder;
  std::string error;
  const auto file = TraceFile::Create(folder.path(), kRingBytes, &error);
  ASSERT_NE(file, nullptr) << error;
  EXPECT_EQ(file->Lost(), nullptr);
  ASSERT_EQ(truncate(file->path().c_str(), trace::kHeaderBytes), 0);
  EXPECT_NE(std::string(file->Lost()).find("shortened"), std::string::npos);
}

// The number of the file's descriptor, as a host that closes one of its own twice may hit it.
int DescriptorOf(const std::string& path) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry, gone) == path)
      return std::stoi(entry.path().filename());
  }
  return -1;
}

TEST(TraceFile, LeavesADescriptorThatIsAnotherFilesAlone) {
  test::TemporaryFolder folder;
  std::string error;
  auto file = TraceFile::Create(folder.path(), kRingBytes, &error);
  ASSERT_NE(file, nullptr) << error;
  const int number = DescriptorOf(file->path());
  ASSERT_GE(number, 0);
  close(number);
  EXPECT_NE(std::string(file->Lost()).find("closed the descriptor"), std::string::npos);
  const std::string other = folder.path() + "/other";
  std::ofstream(other) << std::string(2 * kRingBytes + trace::kHeaderBytes, 'x');
  const int fd = open(other.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(dup2(fd, number), number);
  EXPECT_NE(std::string(file->Lost()).find("closed the descriptor"), std::string::npos);
  file = nullptr;
  struct stat status {};
  EXPECT_EQ(fstat(number, &status), 0) << "it was closed";
  close(number);
  if (fd != number) close(fd);
}

}  // namespace
}  // namespace lamplight::shim
