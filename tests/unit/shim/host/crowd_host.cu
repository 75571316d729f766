// A host whose threads capture, replay, update and destroy at once: each serves a pair of ranks of
// its own, and one more thread destroys what they are done with, so that handles come again on
// other threads while replays run.
//
// usage: crowd_host THREADS ROUNDS [fork | exit]
// fork: one more thread forks children that use CUDA, or try to, and end. exit: the process ends
// in the middle of it all.
#include <cuda_runtime.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "rank.cuh"

namespace {

using Execs = std::array<cudaGraphExec_t, 2>;
using Graphs = std::array<cudaGraph_t, 2>;

std::atomic<int> replays{0};
std::atomic<int> eager_calls{0};

// Destroys on a thread of its own.
class Reaper {
 public:
  Reaper() : thread_([this] { Run(); }) {}
  ~Reaper() {
    Take(nullptr);
    thread_.join();
  }
  void Take(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    changed_.notify_one();
  }

 private:
  void Run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !queue_.empty(); });
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      if (!work) return;
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  std::thread thread_;
};

class Pair {
 public:
  explicit Pair(Reaper* reaper) : reaper_(*reaper) {
    const std::vector<T*> locals{reinterpret_cast<T*>(ranks_[0].buffer),
                                 reinterpret_cast<T*>(ranks_[1].buffer)};
    for (Rank& rank : ranks_) rank.peers = Upload(locals);
  }

  void Round(int number) {
    std::vector<int> tokens;
    for (int call = 0; call <= number % 3; ++call) tokens.push_back(1 + (number + call) % 8);
    const Graphs graphs = Record(tokens);
    Execs execs{};
    for (int rank : {0, 1}) CHECK(cudaGraphInstantiate(&execs[rank], graphs[rank], 0));
    Replay(execs, 3);
    Eager(tokens[0]);
    Sync();
    const Graphs others = Record(tokens);
    Update(execs, others);
    SetParams(execs, others);
    Switch(execs, graphs, false);
    Replay(execs, 1);
    Switch(execs, graphs, true);
    Replay(execs, 2);
    if (number % 4 != 1) Sync();  // otherwise all but the streams goes while it runs
    reaper_.Take([=] {
      for (int rank : {0, 1}) CHECK(cudaGraphExecDestroy(execs[rank]));
      for (const Graphs& done : {graphs, others}) {
        for (const cudaGraph_t graph : done) CHECK(cudaGraphDestroy(graph));
      }
    });
    if (number % 4 == 3) ChangeStreams();
  }

  void Sync() const {
    for (const Rank& rank : ranks_) CHECK(cudaStreamSynchronize(rank.stream));
  }

 private:
  Graphs Record(const std::vector<int>& tokens) {
    return {ranks_[0].Record(tokens), ranks_[1].Record(tokens)};
  }

  void Replay(const Execs& execs, int times) {
    for (int i = 0; i < times; ++i) {
      for (int rank : {0, 1}) CHECK(cudaGraphLaunch(execs[rank], ranks_[rank].stream));
    }
    replays += 2 * times;
  }

  // Behind the replays, on both streams, by events that the reaper destroys.
  void Eager(int tokens) {
    for (int rank : {0, 1}) {
      cudaEvent_t event = nullptr;
      CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
      CHECK(cudaEventRecord(event, ranks_[rank].stream));
      CHECK(cudaStreamWaitEvent(ranks_[1 - rank].stream, event, 0));
      reaper_.Take([=] { CHECK(cudaEventDestroy(event)); });
    }
    for (Rank& rank : ranks_) rank.Run(0, tokens);
    eager_calls += 2;
  }

  void Update(const Execs& execs, const Graphs& to) {
    for (int rank : {0, 1}) {
      cudaGraphExecUpdateResultInfo result{};
      CHECK(cudaGraphExecUpdate(execs[rank], to[rank], &result));
    }
  }

  static cudaGraphNode_t FirstNode(cudaGraph_t graph) {
    cudaGraphNode_t node = nullptr;
    size_t count = 1;
    CHECK(cudaGraphGetRootNodes(graph, &node, &count));
    return node;
  }

  // Those that it has: nothing may change.
  void SetParams(const Execs& execs, const Graphs& graphs) {
    for (int rank : {0, 1}) {
      const cudaGraphNode_t node = FirstNode(graphs[rank]);
      cudaKernelNodeParams parameters{};
      CHECK(cudaGraphKernelNodeGetParams(node, &parameters));
      static_cast<void>(cudaGraphExecKernelNodeSetParams(execs[rank], node, &parameters));
      static_cast<void>(cudaGetLastError());  // of a graph that the exec was not made from
    }
  }

  void Switch(const Execs& execs, const Graphs& graphs, bool enabled) {
    for (int rank : {0, 1}) {
      CHECK(cudaGraphNodeSetEnabled(execs[rank], FirstNode(graphs[rank]), enabled));
    }
  }

  void ChangeStreams() {
    for (Rank& rank : ranks_) {
      reaper_.Take([stream = rank.stream] { CHECK(cudaStreamDestroy(stream)); });
      CHECK(cudaStreamCreateWithFlags(&rank.stream, cudaStreamNonBlocking));
    }
  }

  Reaper& reaper_;
  Rank ranks_[2] = {Rank(0), Rank(1)};
};

void Serve(int count, int rounds) {
  Reaper reaper;
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&reaper, rounds] {
      Pair pair(&reaper);
      for (int round = 0; round < rounds; ++round) pair.Round(round);
      pair.Sync();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void AwaitReplays() {
  while (replays < 20) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// What CUDA refuses to a child of a process that has used it goes through the hooks all the same.
void UseCudaInAChild() {
  alarm(10);
  cudaStream_t stream = nullptr;
  static_cast<void>(cudaStreamCreate(&stream));
  static_cast<void>(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  static_cast<void>(cudaGraphInstantiate(nullptr, nullptr, 0));
  std::exit(0);
}

int Fork(const std::atomic<bool>& end) {
  int children = 0;
  AwaitReplays();  // the runtime itself does not like to be forked while it starts
  while (!end) {
    const pid_t child = fork();
    if (child == 0) UseCudaInAChild();
    int status = -1;
    if (waitpid(child, &status, 0) != child || status != 0) {
      std::fprintf(stderr, "child %d ended with status %d\n", children, status);
      std::exit(3);
    }
    ++children;
  }
  return children;
}

void ForkMeanwhile(int count, int rounds) {
  std::atomic<bool> end{false};
  int children = 0;
  std::thread forking([&] { children = Fork(end); });
  Serve(count, rounds);
  end = true;
  forking.join();
  if (children == 0) std::exit(4);
}

[[noreturn]] void ExitAmid(int count, int rounds) {
  std::thread([=] { Serve(count, rounds); }).detach();
  AwaitReplays();
  ending = true;
  std::exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 64;
  const int count = std::atoi(argv[1]);
  const int rounds = std::atoi(argv[2]);
  const std::string meanwhile = argc > 3 ? argv[3] : "";
  if (meanwhile == "exit") ExitAmid(count, rounds);
  meanwhile == "fork" ? ForkMeanwhile(count, rounds) : Serve(count, rounds);
  std::printf("replays %d eager %d\n", replays.load(), eager_calls.load());
  return 0;
}
