// Which widths of elements the calls on each workspace have had. Thread-safe; Note is wait-free for
// a workspace that has had one width only.
#pragma once

#include <cstdint>

#include "shim/handle_map.h"

namespace lamplight::shim {

class WorkspaceWidths {
 public:
  // False once calls of both widths have been noted: the words of a workspace are then armed for
  // either, and nobody can tell which.
  bool Note(const void* workspace, uint32_t bytes_of_element) {
    const Width* width = bytes_of_element == 4 ? &kWide : &kNarrow;
    const Width* known = seen_.Find(workspace);
    if (known == width) return true;
    if (known == nullptr) known = seen_.Insert(workspace, width);
    if (known == nullptr || known == width) return true;
    seen_.Insert(workspace, &kBoth);
    return false;
  }

 private:
  struct Width {
    uint32_t bytes;
  };
  static constexpr Width kNarrow{2}, kWide{4}, kBoth{6};

  HandleMap<const Width> seen_;
};

}  // namespace lamplight::shim
