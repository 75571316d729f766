// The operations of all ranks of one communicator, side by side by operation number.
//
// One pass, front to back, without holding more than one turn of each rank; not thread-safe.
#pragma once

#include <vector>

#include "analyzer/detectors/history.h"
#include "analyzer/trace_model.h"

namespace lamplight {

class AlignedOperations {
 public:
  struct Member {
    Index workspace;
    Operation operation;
  };

  AlignedOperations(const Model& model, const Communicator& communicator);

  // The members that have a record of the next operation number; empty at the end. Members are in
  // order of rank; the operations point into the model.
  std::vector<Member> Next();

 private:
  struct Cursor {
    Index workspace;
    Index next_turn = 0;
    std::vector<Operation> operations;  // advancing ones of the turn before next_turn
    size_t at = 0;
  };
  bool Fill(Cursor* cursor) const;

  const Model& model_;
  std::vector<Cursor> cursors_;
};

}  // namespace lamplight
