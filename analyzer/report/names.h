// Short names of kernels, sites and devices for the reports. Pure; safe from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analyzer/trace_model.h"

namespace lamplight {

// Without return type and parameter list: "ns::kernel<8, __nv_bfloat16>".
std::string ShortFunction(std::string_view demangled);
// File name of a path.
std::string BaseName(std::string_view path);
// Frames from outside the shim, innermost first, at most `most`.
std::vector<Frame> HostFrames(const Model& model, Index site, size_t most);
// "Model::Capture(int)  libserver.so+0x1234".
std::string FrameLine(const Frame& frame);
// Python frames without those of torch and of Python's own library at the inner end, at most
// `most`.
std::vector<PythonFrame> UserFrames(const Model& model, Index site, size_t most);
// "model_runner.py:812 in capture_model".
std::string FrameLine(const PythonFrame& frame);
// The innermost Python frame of the user's, else the innermost named native frame outside the shim,
// the CUDA libraries and libc, else where the innermost of these lies; empty: none.
std::string SiteName(const Model& model, Index site);
std::string DeviceName(const Model& model, Index device);

}  // namespace lamplight
