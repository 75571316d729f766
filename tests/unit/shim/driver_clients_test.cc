// Who counts as a client of the driver's fronts, by what is asked, how, and from which file.
#include "shim/driver/clients.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "shim/hooks/inside.h"

namespace lamplight::shim::driver {
namespace {

constexpr char kQuestion[] = "cuGetProcAddress_v2";

class Clients : public testing::Test {
 protected:
  static bool Are(const char* name, const void* caller, Wish::Kind wish = Wish::kAuto) {
    static int any = 0;  // only the two special handles are told from others
    return IsClients(wish, name, &any, caller);
  }

  // An address in a library of this name; it is kept loaded.
  static const void* CodeOf(const char* library) {
    const std::string path = std::string(LAMPLIGHT_LIBRARIES) + "/" + library;
    void* loaded = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    return loaded == nullptr ? nullptr : dlsym(loaded, "Here");
  }

  const void* engine_ = CodeOf("libengine_asks.so");
  const void* nccl_ = CodeOf("libnccl_asks.so");
};

TEST_F(Clients, AskForTheDriversOwnQuestion) {
  ASSERT_NE(engine_, nullptr) << dlerror();
  EXPECT_TRUE(Are(kQuestion, engine_));
  EXPECT_TRUE(Are("cuGetProcAddress", engine_));
}

TEST_F(Clients, AreNoneForOtherNames) {
  for (const char* name :
       {"cuLaunchKernel", "cudaGetProcAddress", "cu", "c", "", "malloc", "curl"}) {
    EXPECT_FALSE(Are(name, engine_)) << name;
  }
  EXPECT_FALSE(Are(nullptr, engine_));
}

TEST_F(Clients, AskForAnyFunctionWhereTheUserSaysSo) {
  EXPECT_TRUE(Are("cuLaunchKernel", engine_, Wish::kOn));
  EXPECT_TRUE(Are(kQuestion, engine_, Wish::kOn));
  EXPECT_FALSE(Are("cudaLaunchKernel", engine_, Wish::kOn));
  EXPECT_FALSE(Are("curl_easy_init", engine_, Wish::kOn));
}

TEST_F(Clients, AreNotCudasOwnLibraries) {
  ASSERT_NE(nccl_, nullptr) << dlerror();
  EXPECT_FALSE(Are(kQuestion, nccl_, Wish::kOn));
  EXPECT_FALSE(Are("cuLaunchKernel", nccl_, Wish::kOn));
}

TEST_F(Clients, AreNotTheShimItself) {
  EXPECT_FALSE(Are(kQuestion, reinterpret_cast<const void*>(&IsClients), Wish::kOn));
  const Inside inside;
  EXPECT_FALSE(Are(kQuestion, engine_, Wish::kOn));
}

TEST_F(Clients, AreNoneByTheCallersScope) {
  EXPECT_FALSE(IsClients(Wish::kOn, kQuestion, RTLD_NEXT, engine_));
  EXPECT_FALSE(IsClients(Wish::kOn, kQuestion, RTLD_DEFAULT, engine_));
}

TEST_F(Clients, AreNoneInNoFile) { EXPECT_FALSE(Are(kQuestion, nullptr)); }

TEST_F(Clients, AreNoneWhereSwitchedOff) { EXPECT_FALSE(Are(kQuestion, engine_, Wish::kOff)); }

TEST_F(Clients, WishIsReadFromTheEnvironment) {
  const struct {
    const char* text;
    Wish::Kind kind;
    bool understood;
  } cases[] = {{"", Wish::kAuto, true},
               {"auto", Wish::kAuto, true},
               {"1", Wish::kOn, true},
               {"0", Wish::kOff, true},
               {"yes", Wish::kAuto, false}};
  for (const auto& [text, kind, understood] : cases) {
    setenv("LAMPLIGHT_DRIVER", text, 1);
    EXPECT_EQ(Wish::FromEnvironment().kind, kind) << text;
    EXPECT_EQ(Wish::FromEnvironment().understood, understood) << text;
  }
  unsetenv("LAMPLIGHT_DRIVER");
}

void* Nothing(void*, const char*) { return nullptr; }
void* Something(void* handle, const char*) { return handle; }

TEST_F(Clients, GetWhatTheLoaderFindsWhereNoFrontStands) {
  int any = 0;
  EXPECT_EQ(Answer(Nothing, &any, kQuestion, engine_), nullptr);
  EXPECT_EQ(Answer(Something, &any, kQuestion, engine_), &any);
}

}  // namespace
}  // namespace lamplight::shim::driver
