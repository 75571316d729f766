// From a kernel's report in host memory to a record of the trace: reports of swapped kernels, and
// of linked ones whose memory may be gone.
#include "shim/troubles.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <memory>
#include <thread>

#include "shim/mapped_copy.h"
#include "tests/unit/shim/recorded_test.h"

namespace lamplight::shim {
namespace {

using kernels::Diagnostic;
using Kind = kernels::Trouble;

constexpr uint64_t kLocal = 0x7f0000100000;

// A page that can be taken away, with nothing behind it.
class Page {
 public:
  Page()
      : address_(
            mmap(nullptr, 2 * kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    mprotect(static_cast<char*>(address_) + kBytes, kBytes, PROT_NONE);
  }
  ~Page() { munmap(address_, 2 * kBytes); }
  void Unmap() { mprotect(address_, kBytes, PROT_NONE); }
  Diagnostic& diagnostic() { return *static_cast<Diagnostic*>(address_); }

  static constexpr size_t kBytes = 4096;

 private:
  void* address_;
};

class TroublesTest : public RecordedTest {
 protected:
  void SetUp() override {
    RecordedTest::SetUp();
    workspaces_ = std::make_unique<Workspaces>(recorder());
    troubles_ = std::make_unique<Troubles>(*workspaces_);
  }

  // A workspace of rank 1 of 4 whose kernels report there.
  uint32_t AddWorkspace(const Diagnostic& diagnostic, uint64_t flags = 0x4000) {
    lamport::DecodedCall call{};
    call.flags_address = flags;
    call.local_address = kLocal;
    call.diagnostic_address = reinterpret_cast<uint64_t>(&diagnostic);
    call.call.rank = 1;
    call.call.world = 4;
    return workspaces_->Resolve({}, 0, &call)->id;
  }

  static void Report(Diagnostic& to, Kind kind, uint32_t token = 3) {
    to.claim = 1;
    to.workspace = kLocal;
    to.rank = 1;
    to.peer = 2;
    to.token = token;
    to.bits[0] = 0x80000000;
    to.arrivals = 5;
    to.kind = 4 << 8;
    to.trouble = static_cast<uint32_t>(kind);
  }

  std::vector<trace::Trouble> Drained() {
    troubles_->Drain(recorder());
    return Definitions<trace::Trouble>(trace::RecordType::kTrouble);
  }

  std::unique_ptr<Workspaces> workspaces_;
  std::unique_ptr<Troubles> troubles_;
  Diagnostic swapped_[2] = {};
  Page page_;
};

TEST_F(TroublesTest, RecordsWhatASwappedKernelReports) {
  troubles_->Own(reinterpret_cast<uint64_t>(swapped_), swapped_, 2);
  const uint32_t id = AddWorkspace(swapped_[1]);
  EXPECT_TRUE(Drained().empty());
  Report(swapped_[1], Kind::kCapacity);
  const auto records = Drained();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].workspace_id, id);
  EXPECT_EQ(records[0].kind, static_cast<uint32_t>(Kind::kCapacity));
  EXPECT_EQ(records[0].flags, trace::kTroubleSwapped);
  EXPECT_EQ(records[0].buffer, kLocal);
  EXPECT_EQ(records[0].peer, 2u);
  EXPECT_EQ(records[0].token, 3u);
  EXPECT_EQ(records[0].bits[0], 0x80000000u);
  EXPECT_EQ(records[0].call_kind, 4u << 8);
}

TEST_F(TroublesTest, ASlowStartDoesNotHideWhatComesLater) {
  troubles_->Own(reinterpret_cast<uint64_t>(swapped_), swapped_, 2);
  AddWorkspace(swapped_[0]);
  Report(swapped_[0], Kind::kTimeout);
  EXPECT_EQ(Drained().size(), 1u);
  EXPECT_EQ(swapped_[0].claim, 0u) << "no room for the next report";
  Report(swapped_[0], Kind::kDivergence);
  EXPECT_EQ(Drained().size(), 2u);
}

TEST_F(TroublesTest, CountsWhatIsTooMuchToRecord) {
  troubles_->Own(reinterpret_cast<uint64_t>(swapped_), swapped_, 2);
  AddWorkspace(swapped_[0]);
  for (uint32_t i = 0; i < 20; ++i) {
    Report(swapped_[0], Kind::kTimeout);
    troubles_->Drain(recorder());
  }
  const auto records = Drained();
  ASSERT_EQ(records.size(), Troubles::kRecordedOfAKind);
  EXPECT_EQ(records.back().repeated, Troubles::kRecordedOfAKind - 1);
}

TEST_F(TroublesTest, RecordsALinkedKernelsReportOnceAndLeavesItToTheEngine) {
  AddWorkspace(page_.diagnostic());
  Report(page_.diagnostic(), Kind::kDivergence);
  EXPECT_EQ(Drained().size(), 1u);
  const auto records = Drained();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].flags, 0u);
  EXPECT_EQ(page_.diagnostic().trouble, static_cast<uint32_t>(Kind::kDivergence));
  EXPECT_EQ(page_.diagnostic().claim, 1u);
}

TEST_F(TroublesTest, RecordsTheSameAgainOnceTheEngineHasForgottenIt) {
  AddWorkspace(page_.diagnostic());
  Report(page_.diagnostic(), Kind::kTimeout);
  EXPECT_EQ(Drained().size(), 1u);
  page_.diagnostic().trouble = 0;
  EXPECT_EQ(Drained().size(), 1u);
  Report(page_.diagnostic(), Kind::kTimeout);
  const auto records = Drained();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].repeated, 1u);
}

TEST_F(TroublesTest, MemoryThatIsGoneIsNotTouched) {
  AddWorkspace(page_.diagnostic());
  Report(page_.diagnostic(), Kind::kTimeout);
  page_.Unmap();
  errno = 7;
  EXPECT_TRUE(Drained().empty());
  errno = 7;
  troubles_->Drain(recorder());
  EXPECT_EQ(errno, 7);
}

TEST_F(TroublesTest, MemoryThatHasBecomeAnotherThingsIsNotBelieved) {
  AddWorkspace(page_.diagnostic());
  const auto spoilt = [&](auto change) {
    page_.diagnostic() = {};
    Report(page_.diagnostic(), Kind::kDivergence);
    change(page_.diagnostic());
    return Drained().size();
  };
  EXPECT_EQ(spoilt([](Diagnostic& d) { d.rank = 2; }), 0u);
  EXPECT_EQ(spoilt([](Diagnostic& d) { d.kind = 8 << 8; }), 0u);
  EXPECT_EQ(spoilt([](Diagnostic& d) { d.workspace += 16; }), 0u);
  EXPECT_EQ(spoilt([](Diagnostic& d) { d.trouble = 0x3f800000; }), 0u);
  EXPECT_EQ(spoilt([](Diagnostic& d) { d.claim = 2; }), 0u);
  EXPECT_EQ(spoilt([](Diagnostic& d) { d.unused[6] = 1; }), 0u);
  EXPECT_EQ(spoilt([](Diagnostic&) {}), 1u);
}

TEST_F(TroublesTest, WorkspacesDoNotShareTheirReports) {
  troubles_->Own(reinterpret_cast<uint64_t>(swapped_), swapped_, 2);
  AddWorkspace(swapped_[0], 0x4000);
  const uint32_t second = AddWorkspace(swapped_[1], 0x8000);
  Report(swapped_[1], Kind::kMisaligned);
  const auto records = Drained();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].workspace_id, second);
}

TEST(MappedCopy, TellsAWordFromZeroAndFromNothing) {
  Page page;
  uint32_t* const word = &page.diagnostic().trouble;
  EXPECT_FALSE(IsMappedAndSet(word));
  *word = 1;
  EXPECT_TRUE(IsMappedAndSet(word));
  page.Unmap();
  EXPECT_FALSE(IsMappedAndSet(word));
}

TEST(MappedCopy, CopiesAllOrNothing) {
  Page page;
  Diagnostic* const from = &page.diagnostic();
  from->unused[6] = 9;
  Diagnostic to{};
  EXPECT_TRUE(CopyMapped(from, &to, sizeof to));
  EXPECT_EQ(to.unused[6], 9u);
  // Half of it lies behind the page's end.
  EXPECT_FALSE(CopyMapped(reinterpret_cast<const char*>(from) + Page::kBytes - 64, &to, sizeof to));
  page.Unmap();
  EXPECT_FALSE(CopyMapped(from, &to, sizeof to));
}

}  // namespace
}  // namespace lamplight::shim
