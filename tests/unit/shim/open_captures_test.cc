// Captures between begin and end.
#include "shim/open_captures.h"

#include <gtest/gtest.h>

#include <thread>

namespace lamplight::shim {
namespace {

const auto stream = reinterpret_cast<CUstream>(0x40);

TEST(OpenCaptures, AnEndFindsItsBeginOnce) {
  OpenCaptures open;
  EXPECT_FALSE(open.Ended(stream));
  EXPECT_TRUE(open.Began(stream, {.stream_id = 7}));
  const std::optional<GraphInfo> ended = open.Ended(stream);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->stream_id, 7u);
  EXPECT_FALSE(open.Ended(stream));
}

TEST(OpenCaptures, ACaptureMayEndOnAnotherThread) {
  OpenCaptures open;
  open.Began(stream, {});
  std::thread([&] { EXPECT_TRUE(open.Ended(stream)); }).join();
}

TEST(OpenCaptures, AStreamThatComesAgainForgetsTheCaptureBefore) {
  OpenCaptures open;
  EXPECT_TRUE(open.Began(stream, {.stream_id = 7}));
  EXPECT_FALSE(open.Began(stream, {.stream_id = 8}));
  EXPECT_EQ(open.Ended(stream)->stream_id, 8u);
  EXPECT_FALSE(open.Ended(stream));
}

TEST(OpenCaptures, ThreadsCaptureOnTheirOwnDefaultStreamsAtOnce) {
  OpenCaptures open;
  EXPECT_TRUE(open.Began(CU_STREAM_PER_THREAD, {.site_id = 1}));
  std::thread([&] {
    EXPECT_TRUE(open.Began(CU_STREAM_PER_THREAD, {.site_id = 2}));
    EXPECT_EQ(open.Ended(CU_STREAM_PER_THREAD)->site_id, 2u);
  }).join();
  EXPECT_EQ(open.Ended(CU_STREAM_PER_THREAD)->site_id, 1u);
}

}  // namespace
}  // namespace lamplight::shim
