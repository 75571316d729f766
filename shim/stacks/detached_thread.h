// A thread of ours inside the host: no signals of the host's, nobody joins it. Any thread may call.
#pragma once

namespace lamplight::stacks {

// False: no thread could be started.
bool StartDetached(void* (*body)(void*), void* argument) noexcept;

}  // namespace lamplight::stacks
