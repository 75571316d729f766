// From one process's own ids to places in the model. One builder at a time; no state of its own.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "analyzer/clocks.h"
#include "analyzer/trace_model.h"
#include "shim/trace_format.h"

namespace lamplight {

// Invariant: the first definition of an id counts; a second one can only come from damage.
class IdMap {
 public:
  // False: the id is none, or taken.
  bool Add(uint32_t id, Index index) {
    return id != trace::kNoId && indices_.try_emplace(id, index).second;
  }
  Index Find(uint32_t id) const {
    const auto found = indices_.find(id);
    return found == indices_.end() ? kNone : found->second;
  }

 private:
  std::unordered_map<uint32_t, Index> indices_;
};

struct ProcessIds {
  Index process = kNone;
  ClockShift shift;
  IdMap devices;  // by the runtime's ordinal
  IdMap kernels;
  IdMap workspaces;
  IdMap streams;
  IdMap graphs;
  IdMap execs;
  IdMap sites;
  IdMap hangs;
  std::unordered_map<uint32_t, std::string> communicator_keys;  // by communicator id
  std::unordered_map<Index, uint32_t> communicator_of;          // workspace → communicator id
  bool dangling = false;  // something referred to a definition that is not there
};

// Appends and returns the place; Index is 32 bits wide, and no trace of 128 GiB holds more.
template <class T>
Index Append(std::vector<T>* all, T value) {
  all->push_back(std::move(value));
  return static_cast<Index>(all->size() - 1);
}

// A decoded launch with ids resolved. A kernel whose definition is lost becomes a placeholder: the
// call is still one of a Lamport kernel.
Call ToCall(const trace::LamportCall& call, ProcessIds* ids, Model* model);

}  // namespace lamplight
