// Stacks for fibers, reused from launch to launch. One pool for each thread of the process.
#pragma once

#include <cstddef>
#include <vector>

#include <boost/context/stack_context.hpp>

namespace device_sim::fibers {

class StackPool {
 public:
  static constexpr size_t kStackBytes = 128 * 1024;  // touched only as far as it is used

  StackPool() = default;
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  ~StackPool();

  static StackPool& OfThisThread();

  boost::context::stack_context Take();
  void Give(const boost::context::stack_context& stack) { free_.push_back(stack); }

 private:
  std::vector<boost::context::stack_context> free_;
};

// The pool as Boost.Context wants a stack allocator.
struct PooledStack {
  boost::context::stack_context allocate() { return StackPool::OfThisThread().Take(); }
  void deallocate(boost::context::stack_context& stack) { StackPool::OfThisThread().Give(stack); }
};

}  // namespace device_sim::fibers
