// A workspace keeps to the width of its first calls, or is not trusted any more.
#include "shim/swap/workspace_widths.h"

#include <gtest/gtest.h>

namespace lamplight::shim {
namespace {

TEST(WorkspaceWidths, OneWidthIsFine) {
  WorkspaceWidths widths;
  int a = 0, b = 0;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(widths.Note(&a, 2));
    EXPECT_TRUE(widths.Note(&b, 4));
  }
}

TEST(WorkspaceWidths, BothOnOneWorkspaceAreRefusedForGood) {
  WorkspaceWidths widths;
  int a = 0, b = 0;
  EXPECT_TRUE(widths.Note(&a, 2));
  EXPECT_FALSE(widths.Note(&a, 4));
  EXPECT_FALSE(widths.Note(&a, 2));
  EXPECT_FALSE(widths.Note(&a, 4));
  EXPECT_TRUE(widths.Note(&b, 2));
}

}  // namespace
}  // namespace lamplight::shim
