// Loaded libraries that hold a CUDA runtime of their own: no hook can stand in front of that.
//
// Any thread; walks the loaded objects at each call.
#pragma once

#include <string>

namespace lamplight::shim::cupti {

// The path of TensorRT-LLM's library where it is loaded and needs no libcudart: its build links the
// runtime statically (TensorRT-LLM, cpp/CMakeLists.txt, CMAKE_CUDA_RUNTIME_LIBRARY). Else empty.
std::string LibraryWithStaticRuntime() noexcept;

}  // namespace lamplight::shim::cupti
