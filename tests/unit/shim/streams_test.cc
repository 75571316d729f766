// What may be asked of a host's stream, and when, against a driver that only counts.
#include "shim/streams.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace lamplight::shim {
namespace {

std::atomic<int> queries{0};
std::atomic<bool> query_blocks{false};
std::atomic<bool> query_running{false};
CUresult query_result = CUDA_SUCCESS;
CUstreamCaptureStatus capture_status = CU_STREAM_CAPTURE_STATUS_NONE;

CUresult Query(CUstream) {
  ++queries;
  query_running = true;
  while (query_blocks) std::this_thread::yield();
  query_running = false;
  return query_result;
}

CUresult IsCapturing(CUstream, CUstreamCaptureStatus* status) {
  *status = capture_status;
  return CUDA_SUCCESS;
}

int flag_questions = 0;
CUresult GetFlags(CUstream, unsigned* flags) {
  ++flag_questions;
  *flags = CU_STREAM_NON_BLOCKING;
  return CUDA_SUCCESS;
}

// Contexts: one that lives while `context_number` is its own.
constexpr unsigned long long kNumber = 7;
unsigned long long context_number = kNumber;
CUresult GetCurrent(CUcontext* context) {
  *context = reinterpret_cast<CUcontext>(0x700);
  return CUDA_SUCCESS;
}
CUresult GetId(CUcontext, unsigned long long* id) {
  *id = context_number;
  return context_number == 0 ? CUDA_ERROR_CONTEXT_IS_DESTROYED : CUDA_SUCCESS;
}

class StreamsDone : public ::testing::Test {
 protected:
  StreamsDone() {
    queries = 0;
    query_blocks = false;
    query_result = CUDA_SUCCESS;
    capture_status = CU_STREAM_CAPTURE_STATUS_NONE;
    driver_.StreamQuery = Query;
    driver_.StreamIsCapturing = IsCapturing;
    driver_.CtxGetCurrent = GetCurrent;
    driver_.CtxGetId = GetId;
    context_number = kNumber;
    char pattern[] = "/tmp/lamplight-streams-XXXXXX";
    folder_ = mkdtemp(pattern);
    RecorderOptions options;
    options.directory = folder_;
    options.ring_bytes = 1 << 16;
    options.staging_slots = 64;
    std::string error;
    recorder_ = Recorder::Open(options, &error);
    streams_ = std::make_unique<Streams>(driver_, *recorder_);
    streams_->Created(stream_, 0);
    id_ = streams_->Id(stream_);
  }
  ~StreamsDone() override { std::filesystem::remove_all(folder_); }

  DriverApi driver_{};
  std::string folder_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<Streams> streams_;
  CUstream stream_ = reinterpret_cast<CUstream>(0x5000);
  uint32_t id_ = 0;
};

TEST_F(StreamsDone, SaysWhatTheDriverSays) {
  EXPECT_EQ(streams_->Done(id_), true);
  query_result = CUDA_ERROR_NOT_READY;
  EXPECT_EQ(streams_->Done(id_), false);
  query_result = CUDA_ERROR_INVALID_HANDLE;
  EXPECT_EQ(streams_->Done(id_), std::nullopt);
}

TEST_F(StreamsDone, DoesNotAskForUnknownOrDestroyedStreams) {
  EXPECT_EQ(streams_->Done(id_ + 7), std::nullopt);
  streams_->Destroyed(stream_);
  EXPECT_EQ(streams_->Done(id_), std::nullopt);
  streams_->Created(stream_, 0);  // the handle again, another stream
  EXPECT_EQ(streams_->Done(id_), std::nullopt);
  EXPECT_EQ(queries, 0);
}

// Its handle may be nobody's: cudaDeviceReset takes all streams along.
TEST_F(StreamsDone, DoesNotAskForStreamsOfAContextThatIsGone) {
  for (const unsigned long long number : {0ull, kNumber + 1}) {
    context_number = kNumber;
    streams_->Created(stream_, 0);
    const uint32_t id = streams_->Id(stream_);
    EXPECT_EQ(streams_->Done(id), true);
    queries = 0;
    context_number = number;
    EXPECT_EQ(streams_->Done(id), std::nullopt) << number;
    EXPECT_EQ(queries, 0) << number;
    context_number = kNumber;  // the handle means another
    EXPECT_EQ(streams_->Done(id), std::nullopt) << number;
    EXPECT_EQ(queries, 0) << number;
  }
}

// Some hosts make a stream for every request.
TEST_F(StreamsDone, StreamsThatAreNotUsedAreNotDefined) {
  const auto bytes = [this] { return std::filesystem::file_size(recorder_->path()); };
  const auto before = bytes();
  for (int i = 0; i < 100'000; ++i) {
    streams_->Created(stream_, 0);
    streams_->Destroyed(stream_);
  }
  EXPECT_EQ(bytes(), before);
  streams_->Created(stream_, CU_STREAM_NON_BLOCKING);
  const uint32_t id = streams_->Id(stream_);
  EXPECT_GT(id, id_);
  EXPECT_EQ(streams_->Id(stream_), id);
}

TEST_F(StreamsDone, AsksForTheLegacyStreamButNotForAThreadsOwn) {
  EXPECT_EQ(streams_->Done(streams_->Id(CU_STREAM_LEGACY)), true);
  EXPECT_EQ(streams_->Done(streams_->Id(CU_STREAM_PER_THREAD)), std::nullopt);
  EXPECT_EQ(queries, 1);
}

TEST_F(StreamsDone, DoesNotAskWhileAnythingIsCaptured) {
  streams_->CaptureBegins();
  EXPECT_EQ(streams_->Done(id_), std::nullopt);
  streams_->CaptureEnded();
  capture_status = CU_STREAM_CAPTURE_STATUS_ACTIVE;  // one that the shim does not see
  EXPECT_EQ(streams_->Done(id_), std::nullopt);
  EXPECT_EQ(queries, 0);
}

// In a capture nobody can tell what it is: it is asked when it first can be.
TEST_F(StreamsDone, ShareLearnsAStreamThatTheDriverMadeButNotInACapture) {
  flag_questions = 0;
  driver_.StreamGetFlags = GetFlags;
  auto* other = reinterpret_cast<CUstream>(0x6000);
  streams_->CaptureBegins();
  capture_status = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  EXPECT_EQ(streams_->Share(other), 0u);
  EXPECT_EQ(flag_questions, 0);
  capture_status = CU_STREAM_CAPTURE_STATUS_NONE;
  streams_->CaptureEnded();
  streams_->Share(other);
  EXPECT_EQ(flag_questions, 1);
}

TEST_F(StreamsDone, DestructionAndCapturesWaitForAQueryInFlight) {
  for (const bool capture : {true, false}) {
    query_blocks = true;
    std::thread asking([&] { streams_->Done(id_); });
    while (!query_running) std::this_thread::yield();
    std::thread release([] {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      query_blocks = false;
    });
    capture ? streams_->CaptureBegins() : streams_->Destroyed(stream_);
    EXPECT_FALSE(query_running) << capture;
    if (capture) streams_->CaptureEnded();
    asking.join();
    release.join();
  }
}

TEST_F(StreamsDone, AQueryThatNeverReturnsHoldsNobodyUpForLong) {
  query_blocks = true;
  std::thread asking([&] { streams_->Done(id_); });
  while (!query_running) std::this_thread::yield();
  const auto begin = std::chrono::steady_clock::now();
  streams_->Destroyed(stream_);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  query_blocks = false;
  asking.join();
}

}  // namespace
}  // namespace lamplight::shim
