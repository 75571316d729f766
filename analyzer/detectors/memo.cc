#include "analyzer/detectors/memo.h"

namespace lamplight {
namespace {

thread_local Memo* current = nullptr;

const LaunchOrder& Filled(const Model& model, Index process, std::unique_ptr<LaunchOrder>* order) {
  if (!*order) *order = std::make_unique<LaunchOrder>(model, process);
  return **order;
}

}  // namespace

Memo::Memo(const Model& model) : model_(model), outer_(current) { current = this; }

Memo::~Memo() { current = outer_; }

Memo* Memo::Of(const Model& model) {
  return current != nullptr && &current->model_ == &model ? current : nullptr;
}

const std::vector<Observation>& Observed(const Model& model, Index workspace,
                                         std::vector<Observation>* own) {
  Memo* const memo = Memo::Of(model);
  if (memo == nullptr) return *own = Observe(model, workspace);
  const auto [at, is_new] = memo->observations.try_emplace(workspace);
  if (is_new) at->second = Observe(model, workspace);
  return at->second;
}

const LaunchOrder& OrderOf(const Model& model, Index process, std::unique_ptr<LaunchOrder>* own) {
  Memo* const memo = Memo::Of(model);
  return Filled(model, process, memo == nullptr ? own : &memo->orders[process]);
}

}  // namespace lamplight
