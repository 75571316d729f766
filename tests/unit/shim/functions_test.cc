// Kernels are named while a driver that loads them takes its time.
#include "shim/functions.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "tests/unit/lamport/field_kernels.h"
#include "tests/unit/shim/recorded_test.h"

namespace lamplight::shim {
namespace {

std::atomic<bool> loads{false};    // the driver is loading the kernel to answer
std::atomic<bool> loading{false};  // and has been asked to

const lamport::FieldKernel& Field() { return lamport::FieldKernels().front(); }

CUresult Name(const char** name, CUfunction) {
  *name = Field().symbol.data();
  return CUDA_SUCCESS;
}

CUresult ParamInfo(CUfunction, size_t index, size_t* offset, size_t* size) {
  loading = true;
  while (loads) std::this_thread::yield();
  if (index >= Field().parameters.size()) return CUDA_ERROR_INVALID_VALUE;
  *offset = Field().parameters[index].offset;
  *size = Field().parameters[index].size;
  return CUDA_SUCCESS;
}

class FunctionsTest : public RecordedTest {
 protected:
  void SetUp() override {
    RecordedTest::SetUp();
    loads = loading = false;
    driver_.FuncGetName = Name;
    driver_.FuncGetParamInfo = ParamInfo;
    std::vector<std::string> errors;
    abi_ = lamport::AbiTable::Load({}, &errors);
    ASSERT_NE(abi_, nullptr);
    functions_ = std::make_unique<Functions>(driver_, *abi_, recorder());
  }

  static CUfunction Handle(uintptr_t value) { return reinterpret_cast<CUfunction>(value); }

  DriverApi driver_{};
  std::unique_ptr<lamport::AbiTable> abi_;
  std::unique_ptr<Functions> functions_;
};

TEST_F(FunctionsTest, OneKernelUnderTwoHandlesIsDefinedOnce) {
  const Function* first = functions_->LearnDriver(Handle(16));
  EXPECT_TRUE(first->lamport());
  EXPECT_EQ(functions_->LearnDriver(Handle(32)), first);
  EXPECT_EQ(functions_->ById(first->kernel_id), first);
  EXPECT_EQ(Definitions<trace::Kernel>(trace::RecordType::kKernel).size(), 1u);
}

// Behind a kernel that spins the driver never answers. The watchdog, which tells of that kernel,
// looks functions up.
TEST_F(FunctionsTest, ADriverThatLoadsHoldsUpNobodyElse) {
  const Function* known = functions_->LearnDriver(Handle(16));
  loading = false;
  loads = true;
  std::thread learning([&] { functions_->LearnDriver(Handle(32)); });
  while (!loading) std::this_thread::yield();
  auto found = std::async(std::launch::async, [&] { return functions_->ById(known->kernel_id); });
  EXPECT_EQ(found.wait_for(std::chrono::seconds(2)), std::future_status::ready);
  loads = false;
  learning.join();
  EXPECT_EQ(found.get(), known);
}

}  // namespace
}  // namespace lamplight::shim
