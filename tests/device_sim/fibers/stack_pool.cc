#include "tests/device_sim/fibers/stack_pool.h"

#include <sys/mman.h>

#include <new>

namespace device_sim::fibers {

StackPool& StackPool::OfThisThread() {
  thread_local StackPool pool;
  return pool;
}

boost::context::stack_context StackPool::Take() {
  if (!free_.empty()) {
    const boost::context::stack_context stack = free_.back();
    free_.pop_back();
    return stack;
  }
  void* low = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (low == MAP_FAILED) throw std::bad_alloc();
  boost::context::stack_context stack;
  stack.size = kStackBytes;
  stack.sp = static_cast<char*>(low) + kStackBytes;
  return stack;
}

StackPool::~StackPool() {
  for (const boost::context::stack_context& stack : free_) {
    munmap(static_cast<char*>(stack.sp) - stack.size, stack.size);
  }
}

}  // namespace device_sim::fibers
