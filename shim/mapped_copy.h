// Looks at memory that its owner may unmap at any moment: the operating system reads it and refuses
// instead of faulting. Works for memory that a device driver has mapped, too. Thread-safe; never
// blocks, keeps errno.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lamplight::shim {

// Whether the word is there and not 0. One system call.
bool IsMappedAndSet(const uint32_t* word) noexcept;

// False where not all of it is there. At most a page.
bool CopyMapped(const void* from, void* to, size_t bytes) noexcept;

}  // namespace lamplight::shim
