// What a diagnosis asks for again and again, computed once.
//
// While a Memo lives, questions about its model from its thread are answered from it. The model
// must not change meanwhile. One thread.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "analyzer/detectors/hang_state.h"
#include "analyzer/detectors/happens_before.h"
#include "analyzer/detectors/history.h"
#include "analyzer/trace_model.h"

namespace lamplight {

class Memo {
 public:
  explicit Memo(const Model& model);
  ~Memo();
  Memo(const Memo&) = delete;
  Memo& operator=(const Memo&) = delete;

  // Of this thread and model; null: none lives.
  static Memo* Of(const Model& model);

  std::map<Index, std::vector<RankState>> states;          // by hang
  std::map<Index, Index> in_front;                         // by hang
  std::map<Index, std::vector<Observation>> observations;  // by workspace
  std::map<Index, std::unique_ptr<LaunchOrder>> orders;    // by process

 private:
  const Model& model_;
  Memo* const outer_;
};

// The memo's, or `*own`, filled now.
const std::vector<Observation>& Observed(const Model& model, Index workspace,
                                         std::vector<Observation>* own);
const LaunchOrder& OrderOf(const Model& model, Index process, std::unique_ptr<LaunchOrder>* own);

}  // namespace lamplight
