// A library for the Python test to load: asks for the Python stacks from a thread of its own while
// the interpreter's threads go on with what the test has them do.
//
// May be started by any thread, under the GIL or not.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "shim/stacks/python_stacks.h"

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void Ask(std::string path, milliseconds delay, milliseconds limit, int times) {
  std::this_thread::sleep_for(delay);
  int found = 0;
  long slowest_ms = 0;
  std::string text;
  std::string why_not;
  for (int i = 0; i < times; ++i) {
    const auto begin = steady_clock::now();
    found += lamplight::stacks::PythonStacks(&text, &why_not, limit);
    const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
    slowest_ms = std::max(slowest_ms, static_cast<long>(took.count()));
  }
  std::FILE* file = std::fopen((path + ".part").c_str(), "w");
  if (file == nullptr) return;
  std::fprintf(file, "%d\n%ld\n%s\n%s", found, slowest_ms, why_not.c_str(), text.c_str());
  std::fclose(file);
  std::rename((path + ".part").c_str(), path.c_str());
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void lamplight_probe_start(const char* path,
                                                                             int delay_ms,
                                                                             int limit_ms,
                                                                             int times) {
  std::thread(Ask, std::string(path), milliseconds(delay_ms), milliseconds(limit_ms), times)
      .detach();
}
