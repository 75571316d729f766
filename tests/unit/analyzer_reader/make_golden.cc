// Writes the golden traces of this format version: make_golden FOLDER. Run once for each new minor
// version, into a new folder of tests/data; the files of older versions never change.
#include <cstdio>
#include <string>

#include "tests/unit/analyzer_reader/golden.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_golden FOLDER\n");
    return 2;
  }
  for (uint32_t rank = 0; rank < 2; ++rank) {
    lamplight::testing::WriteFile(
        std::string(argv[1]) + "/rank" + std::to_string(rank) + ".lamptrace",
        lamplight::testing::BuildScenario(lamplight::testing::GoldenScenario(rank)).File());
  }
  return 0;
}
