// Arguments one by one and packed, and lists that name no buffer.
#include "shim/arguments.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

namespace lamplight::shim {
namespace {

class ArgumentsTest : public ::testing::Test {
 protected:
  ArgumentsTest() { function_.parameters = {{0, 8}, {8, 4}, {16, 8}}; }

  void** Unpack(void* const* extra) {
    arguments_.emplace(function_, nullptr, extra);
    return arguments_->get();
  }
  std::ptrdiff_t OffsetOf(void* pointer) const {
    return static_cast<const std::byte*>(pointer) - buffer_;
  }

  Function function_;
  std::byte buffer_[24] = {};
  std::optional<Arguments> arguments_;
};

TEST_F(ArgumentsTest, OneByOneStayWhereTheyAre) {
  int value = 7;
  void* array[] = {&value, &value, &value};
  PackedList packed(buffer_, sizeof buffer_);
  EXPECT_EQ(Arguments(function_, array, packed.get()).get(), array);
}

TEST_F(ArgumentsTest, PackedOnesLieAtTheirOffsets) {
  PackedList packed(buffer_, sizeof buffer_);
  void** found = Unpack(packed.get());
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(OffsetOf(found[0]), 0);
  EXPECT_EQ(OffsetOf(found[1]), 8);
  EXPECT_EQ(OffsetOf(found[2]), 16);
}

TEST_F(ArgumentsTest, ABufferThatEndsInsideOfAParameterIsNotRead) {
  PackedList packed(buffer_, sizeof buffer_ - 1);
  EXPECT_EQ(Unpack(packed.get()), nullptr);
}

TEST_F(ArgumentsTest, KeysMayComeInAnyOrder) {
  size_t size = sizeof buffer_;
  void* list[] = {CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_BUFFER_POINTER, buffer_,
                  CU_LAUNCH_PARAM_END};
  EXPECT_NE(Unpack(list), nullptr);
}

TEST_F(ArgumentsTest, ListsWithoutBufferOrSizeAreNotRead) {
  size_t size = sizeof buffer_;
  void* no_buffer[] = {CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
  void* no_size[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, buffer_, CU_LAUNCH_PARAM_END};
  void* null_size[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, buffer_, CU_LAUNCH_PARAM_BUFFER_SIZE,
                       nullptr, CU_LAUNCH_PARAM_END};
  void* empty[] = {CU_LAUNCH_PARAM_END};
  for (void** list : {no_buffer, no_size, null_size, empty}) EXPECT_EQ(Unpack(list), nullptr);
  EXPECT_EQ(Unpack(nullptr), nullptr);
}

TEST_F(ArgumentsTest, UnknownKeysEndTheReading) {
  void* list[] = {reinterpret_cast<void*>(3), buffer_, CU_LAUNCH_PARAM_END};
  EXPECT_EQ(Unpack(list), nullptr);
}

TEST_F(ArgumentsTest, AListWithoutEndIsLeft) {
  void* list[64];
  for (size_t i = 0; i < 64; i += 2) {
    list[i] = CU_LAUNCH_PARAM_BUFFER_POINTER;
    list[i + 1] = buffer_;
  }
  EXPECT_EQ(Unpack(list), nullptr);
}

TEST_F(ArgumentsTest, OfKernelsWithUnknownParametersNothingIsUnpacked) {
  function_.parameters.clear();
  PackedList packed(buffer_, sizeof buffer_);
  EXPECT_EQ(Unpack(packed.get()), nullptr);
}

TEST_F(ArgumentsTest, AnOffsetBeyondAllBuffersIsNotRead) {
  function_.parameters.push_back({SIZE_MAX - 3, 8});
  PackedList packed(buffer_, sizeof buffer_);
  EXPECT_EQ(Unpack(packed.get()), nullptr);
}

}  // namespace
}  // namespace lamplight::shim
