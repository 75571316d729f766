// Stacks as definitions, one for each distinct stack.
#include "shim/sites.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <string_view>

#include "shim/recorder/origin.h"
#include "shim/recorder/record_builder.h"
#include "shim/stacks/module.h"
#include "shim/stacks/stacks.h"

namespace lamplight::shim {
namespace {

// What a capture may wait for its Python stack, in a process whose GIL is taken.
constexpr std::chrono::milliseconds kPythonLimit{50};

uint64_t Mix(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x100000001b3ull; }

uint64_t Hash(std::span<const uintptr_t> pcs, std::span<const stacks::PythonFrame> python) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const uintptr_t pc : pcs) hash = Mix(hash, pc);
  for (const stacks::PythonFrame& frame : python) {
    hash = Mix(hash, std::hash<std::string_view>()(frame.file));
    hash = Mix(hash, std::hash<std::string_view>()(frame.function));
    hash = Mix(hash, frame.line);
  }
  return hash;
}

// Code that stands between the host's and a callback.
bool IsUnderneath(uintptr_t pc) {
  const std::string path = stacks::ModuleOf(pc).path;
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  for (const char* part : {"liblamplight", "libcupti.", "libcuda.", "libcudart."}) {
    if (name.starts_with(part)) return true;
  }
  return false;
}

// A function of the runtime's, in whatever file: it may be linked statically.
bool IsRuntime(uintptr_t pc) {
  const stacks::Symbol named = stacks::Symbolise(pc);
  for (const char* part : {"cuda", "__cuda", "libcudart_static"}) {
    if (named.symbol.starts_with(part)) return true;
  }
  return false;
}

// What is left behind the outermost frame of CUDA's own libraries, and a statically linked runtime.
std::span<const uintptr_t> OfHost(std::span<const uintptr_t> pcs) {
  constexpr size_t kDeepest = 24;
  for (size_t i = std::min(kDeepest, pcs.size()); i-- > 0;) {
    if (!IsUnderneath(pcs[i])) continue;
    pcs = pcs.subspan(i + 1);
    break;
  }
  while (!pcs.empty() && IsRuntime(pcs.front())) pcs = pcs.subspan(1);
  return pcs;
}

}  // namespace

uintptr_t Sites::HostCaller() {
  std::array<uintptr_t, stacks::kMaxFrames> pcs;
  const size_t count = stacks::CaptureHere(pcs.data(), pcs.size(), 0);
  const std::span<const uintptr_t> host = OfHost({pcs.data(), count});
  return host.empty() ? 0 : host.front();
}

uint32_t Sites::Here(size_t skip) {
  std::array<uintptr_t, stacks::kMaxFrames> pcs;
  const size_t count = stacks::CaptureHere(pcs.data(), pcs.size(), skip + 1);
  std::span<const uintptr_t> frames(pcs.data(), count);
  if (Through::Flags() != 0) frames = OfHost(frames);
  const std::vector<stacks::PythonFrame> python = stacks::PythonFramesHere(kPythonLimit);
  return frames.empty() && python.empty() ? 0 : Define(frames, python);
}

uint32_t Sites::Define(std::span<const uintptr_t> pcs,
                       std::span<const stacks::PythonFrame> python) {
  const uint64_t hash = Hash(pcs, python);
  std::lock_guard lock(mutex_);
  const auto known = by_hash_.find(hash);
  if (known != by_hash_.end()) return known->second;
  DefineNative(next_id_, pcs);
  if (!python.empty()) DefinePython(next_id_, python);
  by_hash_.emplace(hash, next_id_);
  return next_id_++;
}

void Sites::DefineNative(uint32_t id, std::span<const uintptr_t> pcs) {
  RecordBuilder<trace::Site> builder(trace::RecordType::kSite);
  builder->site_id = id;
  builder->frames = builder.AddArray<trace::Frame>(pcs.size());
  for (size_t i = 0; i < pcs.size() && i < builder->frames; ++i) {
    const stacks::Symbol symbol = stacks::Symbolise(pcs[i]);
    trace::Frame& frame = builder.Element<trace::Frame>(i);
    frame.address = pcs[i];
    frame.module_offset = symbol.module_offset;
    frame.symbol_offset = symbol.symbol_offset;
    builder.SetString(i, &trace::Frame::module, symbol.module);
    builder.SetString(i, &trace::Frame::symbol, symbol.symbol);
  }
  recorder_.Define(builder);
}

void Sites::DefinePython(uint32_t id, std::span<const stacks::PythonFrame> python) {
  RecordBuilder<trace::PythonSite> builder(trace::RecordType::kPythonSite);
  builder->site_id = id;
  builder->frames = builder.AddArray<trace::PythonFrame>(python.size());
  for (size_t i = 0; i < python.size() && i < builder->frames; ++i) {
    builder.Element<trace::PythonFrame>(i).line = python[i].line;
    builder.SetString(i, &trace::PythonFrame::file, python[i].file);
    builder.SetString(i, &trace::PythonFrame::function, python[i].function);
  }
  recorder_.Define(builder);
}

}  // namespace lamplight::shim
