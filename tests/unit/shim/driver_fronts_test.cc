// Every front calls the function that it stands in front of, with the caller's arguments, and
// returns its answer; over a driver that refuses every call, with the shim switched off.
#include "shim/driver/fronts.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "shim/cupti/launches.h"
#include "shim/driver/calls.h"
#include "tests/unit/shim/fake_driver.h"

namespace lamplight::shim::driver {
namespace {

struct Function {
  const char* name;
  int arguments;
};
constexpr Function kFunctions[] = {
#define FAKE(name, count) {#name, count},
    FAKE_FUNCTIONS(FAKE)
#undef FAKE
};

class Fronts : public testing::TestWithParam<Function> {
 protected:
  Fronts() { setenv("LAMPLIGHT_DISABLE", "1", 1); }

  static void* Driver() {
    static void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    return library;
  }
};

TEST_P(Fronts, CallsWhatItStandsInFrontOf) {
  void* real = dlsym(Driver(), GetParam().name);
  ASSERT_NE(real, nullptr);
  void* front = FrontOf(real);
  ASSERT_NE(front, real);
  const FakeCall& call = *FakeDriverCall();
  const int before = call.calls;
  using AnyFunction = int (*)(long, long, long, long, long, long, long, long, long, long, long);
  // Null where the front would look into it.
  const std::string name = GetParam().name;
  const long first = name.starts_with("cuLaunchKernelEx") ? 0 : 101;
  const long third = name.starts_with("cuGraphInstantiateWithParams") ? 0 : 103;
  const int status = reinterpret_cast<AnyFunction>(front)(first, 102, third, 104, 105, 106, 107,
                                                          108, 109, 110, 111);
  EXPECT_EQ(status, kFakeStatus);
  EXPECT_EQ(call.name, name);
  EXPECT_EQ(call.calls, before + 1);
  for (int i = 0; i < GetParam().arguments; ++i) {
    const long given = i == 0 ? first : i == 2 ? third : 101 + i;
    EXPECT_EQ(static_cast<int>(call.arguments[i]), given) << "argument " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Driver, Fronts, testing::ValuesIn(kFunctions),
                         [](const auto& function) { return std::string(function.param.name); });

using FrontTable = Fronts;

TEST_F(FrontTable, HasAllThatCuptiTellsOf) {
  std::vector<std::string> wanted;
  const auto add = [&](const Watched& watched) {
    wanted.push_back(watched.id.name);
    if (watched.id.per_thread != 0) wanted.push_back(std::string(watched.id.name) + "_ptsz");
  };
  std::ranges::for_each(Calls(), add);
  std::ranges::for_each(cupti::Launches(), add);
  std::vector<std::string> fake;
  for (const Function& function : kFunctions) fake.push_back(function.name);
  std::ranges::sort(wanted);
  std::ranges::sort(fake);
  EXPECT_EQ(wanted, fake);
}

TEST_F(FrontTable, AnswersTheQuestionWithFronts) {
  using Question = int (*)(const char*, void**, int, unsigned long, int*);
  using QuestionOf11 = int (*)(const char*, void**, int, unsigned long);
  void* real = dlsym(Driver(), "cuGraphLaunch");
  void* out = nullptr;
  void* question = FrontOf(dlsym(Driver(), "cuGetProcAddress_v2"));
  EXPECT_EQ(reinterpret_cast<Question>(question)("cuGraphLaunch", &out, 12000, 0, nullptr), 0);
  EXPECT_EQ(out, FrontOf(real));
  out = nullptr;
  void* of_11 = FrontOf(dlsym(Driver(), "cuGetProcAddress"));
  EXPECT_NE(of_11, question);
  EXPECT_EQ(reinterpret_cast<QuestionOf11>(of_11)("cuGraphLaunch", &out, 11030, 0), 0);
  EXPECT_EQ(out, FrontOf(real));
  out = nullptr;
  EXPECT_EQ(reinterpret_cast<Question>(question)("cuNothing", &out, 12000, 0, nullptr),
            kFakeStatus);
  EXPECT_EQ(out, nullptr);
  EXPECT_TRUE(Given());
}

TEST_F(FrontTable, HasNoneForOtherFunctions) {
  void* other = dlsym(Driver(), "FakeDriverCall");
  EXPECT_EQ(FrontOf(other), other);
  EXPECT_EQ(FrontOf(nullptr), nullptr);
}

}  // namespace
}  // namespace lamplight::shim::driver
