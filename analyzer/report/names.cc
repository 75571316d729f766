// Cuts demangled C++ names down to what a reader looks for.
#include "analyzer/report/names.h"

#include <algorithm>
#include <cstdio>

namespace lamplight {
namespace {

constexpr size_t kLongestSite = 60;  // instances of templates have names of many lines

// Where the parameter list opens: the last '(' at depth 0 whose partner ends the name, qualifiers
// aside. Casts inside template arguments, "(unsigned char)8", stand at depth 1.
size_t ParametersBegin(std::string_view name) {
  int angle = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool arrow = c == '>' && i > 0 && name[i - 1] == '-';
    if (c == '<') ++angle;
    if (c == '>' && !arrow) --angle;
    const bool anonymous = name.substr(i).starts_with("(anonymous namespace)");
    if (c == '(' && angle == 0 && i > 0 && !anonymous) return i;
  }
  return name.size();
}

// Where the function's own name begins, behind its return type.
size_t NameBegin(std::string_view name) {
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<' || name[i] == '(') ++depth;
    if (name[i] == '>' || name[i] == ')') --depth;
    if (name[i] == ' ' && depth == 0) begin = i + 1;
  }
  return begin;
}

// "(unsigned char)8" becomes "8": the type of a template argument says little.
std::string WithoutCasts(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const size_t close = name[i] == '(' ? name.find(')', i) : std::string_view::npos;
    const bool cast = close != std::string_view::npos && close + 1 < name.size() &&
                      name[close + 1] >= '0' && name[close + 1] <= '9';
    if (cast) {
      i = close;
    } else {
      out += name[i];
    }
  }
  return out;
}

bool IsShim(const Frame& frame) { return BaseName(frame.module).starts_with("liblamplight"); }

bool IsCuda(const Frame& frame) {
  const std::string module = BaseName(frame.module);
  return module.starts_with("libcudart") || module.starts_with("libcuda.");
}

// Code that stands between a user's capture and CUDA and is the same in every server.
bool IsPlumbing(const PythonFrame& frame) {
  if (frame.file.starts_with("<frozen")) return true;
  for (const char* part : {"/torch/", "/contextlib.py", "/functools.py", "/ctypes/"}) {
    if (frame.file.find(part) != std::string::npos) return true;
  }
  return false;
}

std::string Clipped(std::string name, size_t most) {
  if (name.size() > most) name = name.substr(0, most - 3) + "...";
  return name;
}

}  // namespace

std::string ShortFunction(std::string_view demangled) {
  if (demangled.find("operator") != std::string_view::npos) return std::string(demangled);
  if (demangled.find("{lambda") != std::string_view::npos) return std::string(demangled);
  const std::string_view name = demangled.substr(0, ParametersBegin(demangled));
  return WithoutCasts(name.substr(NameBegin(name)));
}

std::string BaseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::vector<Frame> HostFrames(const Model& model, Index site, size_t most) {
  std::vector<Frame> frames;
  if (site >= model.sites.size()) return frames;
  for (const Frame& frame : model.sites[site].frames) {
    if (frames.size() >= most) break;
    if (!IsShim(frame)) frames.push_back(frame);
    if (frame.symbol == "main") break;  // the C library's start-up says nothing
  }
  return frames;
}

std::string FrameLine(const Frame& frame) {
  char offset[32];
  std::snprintf(offset, sizeof offset, "+0x%llx",
                static_cast<unsigned long long>(frame.module_offset));
  const std::string place =
      frame.module.empty() ? "unknown module" : BaseName(frame.module) + offset;
  return frame.symbol.empty() ? place : ShortFunction(frame.symbol) + "  (" + place + ")";
}

std::vector<PythonFrame> UserFrames(const Model& model, Index site, size_t most) {
  if (site >= model.sites.size()) return {};
  const std::vector<PythonFrame>& all = model.sites[site].python;
  auto begin = std::find_if_not(all.begin(), all.end(), IsPlumbing);
  if (begin == all.end()) begin = all.begin();
  const auto count = std::min<size_t>(most, static_cast<size_t>(all.end() - begin));
  return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

std::string FrameLine(const PythonFrame& frame) {
  std::string line = BaseName(frame.file);
  if (frame.line != 0) line += ":" + std::to_string(frame.line);
  return line + " in " + frame.function;
}

std::string SiteName(const Model& model, Index site) {
  if (site >= model.sites.size()) return "";
  const std::vector<PythonFrame> python = UserFrames(model, site, 1);
  if (!python.empty()) return FrameLine(python.front());
  const Frame* unnamed = nullptr;
  for (const Frame& frame : model.sites[site].frames) {
    if (IsShim(frame) || IsCuda(frame)) continue;
    // A stripped program's only names are those of the C library's start-up.
    if (BaseName(frame.module).starts_with("libc.so")) break;
    if (!frame.symbol.empty()) return Clipped(ShortFunction(frame.symbol), kLongestSite);
    if (unnamed == nullptr) unnamed = &frame;
  }
  return unnamed == nullptr ? "" : FrameLine(*unnamed);
}

std::string DeviceName(const Model& model, Index device) {
  if (device >= model.devices.size()) return "unknown device";
  const Device& own = model.devices[device];
  return "GPU " + std::to_string(own.ordinal) + (own.name.empty() ? "" : ", " + own.name);
}

}  // namespace lamplight
