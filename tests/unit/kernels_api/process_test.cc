// Ranks in processes of their own, over CUDA IPC. This process only forks: a child that were forked
// after the first CUDA call could make none.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "kernels/host/ipc_buffer.h"
#include "kernels/host/workspace.h"
#include "ranks.h"
#include "recording_kernels.h"

namespace lamplight::kernels::test {
namespace {

// An all-gather over processes. Lives in shared memory.
struct Board {
  pthread_barrier_t barrier;
  unsigned char bytes[64 * 1024];
};

struct Place {
  Board* board;
  uint32_t rank;
  uint32_t world;
};

int AllGather(void* context, const void* send, size_t bytes, void* receive) {
  const Place& place = *static_cast<Place*>(context);
  if (place.world * bytes > sizeof place.board->bytes) return 1;
  std::memcpy(place.board->bytes + place.rank * bytes, send, bytes);
  pthread_barrier_wait(&place.board->barrier);
  std::memcpy(receive, place.board->bytes, place.world * bytes);
  pthread_barrier_wait(&place.board->barrier);
  return 0;
}

Board* MakeBoard(uint32_t world) {
  void* shared =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* board = static_cast<Board*>(shared);
  pthread_barrierattr_t attributes;
  pthread_barrierattr_init(&attributes);
  pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_barrier_init(&board->barrier, &attributes, world);
  return board;
}

// Runs `body` in `processes` children; each returns true for success.
template <class Body>
void InProcesses(uint32_t processes, Body body) {
  std::vector<pid_t> children;
  for (uint32_t i = 0; i < processes; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(30);
      _exit(body(i) ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(child, waitpid(child, &status, 0));
    EXPECT_EQ(0, status);
  }
}

#define CHECK_OR_FAIL(condition)                                              \
  do {                                                                        \
    if (!(condition)) {                                                       \
      std::fprintf(stderr, "%s:%d: %s; %s\n", __FILE__, __LINE__, #condition, \
                   LastError().c_str());                                      \
      return false;                                                           \
    }                                                                         \
  } while (false)

lamplight_workspace_options OptionsAt(Place* place) {
  lamplight_workspace_options options = SmallOptions(place->world, place->rank);
  options.all_gather = AllGather;
  options.all_gather_context = place;
  return options;
}

bool Meets(lamplight_workspace* workspace, uint32_t tokens) {
  lamplight_call call = LAMPLIGHT_CALL_INIT;
  call.input = reinterpret_cast<void*>(0x10000000);
  call.output = reinterpret_cast<void*>(0x20000000);
  call.tokens = tokens;
  call.hidden = kMeetingHidden;
  call.dtype = LAMPLIGHT_FP32;
  cudaStream_t stream;
  CHECK_OR_FAIL(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  CHECK_OR_FAIL(lamplight_all_reduce(workspace, &call, stream) == LAMPLIGHT_OK);
  CHECK_OR_FAIL(cudaStreamSynchronize(stream) == cudaSuccess);
  return cudaStreamDestroy(stream) == cudaSuccess;
}

class Processes : public testing::TestWithParam<uint32_t> {};

TEST_P(Processes, CreateAndMeet) {
  const uint32_t world = GetParam();
  Board* board = MakeBoard(world);
  InProcesses(world, [&](uint32_t rank) {
    Place place{board, rank, world};
    const lamplight_workspace_options options = OptionsAt(&place);
    lamplight_workspace* workspace = nullptr;
    CHECK_OR_FAIL(lamplight_workspace_create(&options, &workspace) == LAMPLIGHT_OK);
    CHECK_OR_FAIL(Meets(workspace, 3));
    CHECK_OR_FAIL(Meets(workspace, 4));
    pthread_barrier_wait(&board->barrier);
    return lamplight_workspace_destroy(workspace) == LAMPLIGHT_OK;
  });
}
INSTANTIATE_TEST_SUITE_P(Worlds, Processes, testing::Values(2u, 4u));

// The first to go owns memory that others still map: it waits for none, and frees it later.
TEST(ProcessesDestroy, WorksInAnyOrder) {
  constexpr uint32_t kWorld = 4;
  Board* board = MakeBoard(kWorld);
  InProcesses(kWorld, [&](uint32_t rank) {
    Place place{board, rank, kWorld};
    const lamplight_workspace_options options = OptionsAt(&place);
    lamplight_workspace* workspace = nullptr;
    CHECK_OR_FAIL(lamplight_workspace_create(&options, &workspace) == LAMPLIGHT_OK);
    const auto& common = workspace->impl->common;
    for (uint32_t turn = 0; turn < kWorld; ++turn) {
      pthread_barrier_wait(&board->barrier);
      if (turn == rank) {
        for (uint32_t peer = 0; peer < kWorld; ++peer) {
          uint32_t word = 1;
          CHECK_OR_FAIL(cudaMemcpy(&word, common.peer[peer], sizeof word, cudaMemcpyDefault) ==
                        cudaSuccess);
        }
        lamplight_workspace_destroy(workspace);
      }
      pthread_barrier_wait(&board->barrier);
      // Until the last peer has closed its mapping, the memory is set aside.
      if (turn >= rank) CHECK_OR_FAIL((FreeUnleased() == 0) == (turn == kWorld - 1));
    }
    return true;
  });
}

// Two processes of two threads each.
TEST(ProcessesAndThreads, Mix) {
  constexpr uint32_t kWorld = 4;
  Board* board = MakeBoard(kWorld);
  InProcesses(2, [&](uint32_t process) {
    bool good[2] = {};
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        Place place{board, 2 * process + i, kWorld};
        const lamplight_workspace_options options = OptionsAt(&place);
        lamplight_workspace* workspace = nullptr;
        if (lamplight_workspace_create(&options, &workspace) != LAMPLIGHT_OK) {
          std::fprintf(stderr, "%s\n", LastError().c_str());
          return;
        }
        good[i] = Meets(workspace, 5);
        pthread_barrier_wait(&board->barrier);
        lamplight_workspace_destroy(workspace);
      });
    }
    for (std::thread& thread : threads) thread.join();
    return good[0] && good[1];
  });
}

// A rank that fails in the first round leaves nothing behind on the others.
TEST(ProcessesFailure, ReachesAllAndFreesAll) {
  constexpr uint32_t kWorld = 2;
  Board* board = MakeBoard(kWorld);
  InProcesses(kWorld, [&](uint32_t rank) {
    Place place{board, rank, kWorld};
    lamplight_workspace_options options = OptionsAt(&place);
    if (rank == 1) options.memory = LAMPLIGHT_MEMORY_FABRIC;
    lamplight_workspace* workspace = nullptr;
    const lamplight_status status = lamplight_workspace_create(&options, &workspace);
    CHECK_OR_FAIL(status == (rank == 1 ? LAMPLIGHT_ERROR_UNSUPPORTED : LAMPLIGHT_ERROR_PEER));
    CHECK_OR_FAIL(workspace == nullptr);
    return FreeUnleased() == 0;
  });
}

}  // namespace
}  // namespace lamplight::kernels::test
