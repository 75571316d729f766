#include "kernels/host/exchange.h"

#include <chrono>
#include <future>
#include <memory>
#include <thread>

namespace lamplight::kernels {
namespace {

struct Round {
  std::vector<unsigned char> send;
  std::vector<unsigned char> receive;
};

struct Barrier {
  RecordHead head;
};

int CallUnbounded(const AllGather& all_gather, Round* round) {
  return all_gather.function(all_gather.context, round->send.data(), round->send.size(),
                             round->receive.data());
}

// False on expiry. The thread is then left behind: it owns the round, and nothing of ours else.
bool CallBounded(const AllGather& all_gather, const std::shared_ptr<Round>& round, int* result) {
  std::packaged_task<int()> task(
      [all_gather, round] { return CallUnbounded(all_gather, round.get()); });
  std::future<int> done = task.get_future();
  std::thread(std::move(task)).detach();
  const auto timeout = std::chrono::milliseconds(all_gather.timeout_ms);
  if (done.wait_for(timeout) != std::future_status::ready) return false;
  *result = done.get();
  return true;
}

}  // namespace

Status RankExchange::Agree(const Status& mine) {
  std::vector<Barrier> all;
  return Gather(mine, Barrier{}, &all);
}

RecordHead RankExchange::HeadOf(const Status& mine) {
  RecordHead head{};
  head.magic = kExchangeMagic;
  head.version = kExchangeVersion;
  head.round = ++round_;
  head.rank = rank_;
  head.status = mine.code();
  CopyText(mine.text().c_str(), head.text, sizeof head.text);
  return head;
}

Status RankExchange::Call(const void* send, size_t bytes, std::vector<unsigned char>* received) {
  auto round = std::make_shared<Round>();
  const auto* first = static_cast<const unsigned char*>(send);
  round->send.assign(first, first + bytes);
  // Room for the largest world: the all-gather goes by its own count of ranks, and a caller who
  // gave another one here is to get an error, not a stray write.
  round->receive.resize(kMaxWorld * bytes);
  int result = 0;
  const bool in_time = all_gather_.timeout_ms == 0 || CallBounded(all_gather_, round, &result);
  if (!in_time) {
    broken_ = true;
    return Error(
        LAMPLIGHT_ERROR_EXCHANGE_TIMEOUT,
        "all_gather (call %u of this creation) did not return within %u ms: a rank does not "
        "take part, or options->exchange_timeout_ms is too short",
        round_, all_gather_.timeout_ms);
  }
  if (all_gather_.timeout_ms == 0) result = CallUnbounded(all_gather_, round.get());
  if (result != 0) {
    broken_ = true;
    return Error(LAMPLIGHT_ERROR_EXCHANGE, "all_gather (call %u of this creation) returned %d",
                 round_, result);
  }
  *received = std::move(round->receive);
  return {};
}

Status RankExchange::CheckHeads(const std::vector<RecordHead>& heads) {
  for (uint32_t rank = 0; rank < world_; ++rank) {
    const RecordHead& head = heads[rank];
    broken_ = true;
    if (head.magic != kExchangeMagic) {
      return Error(LAMPLIGHT_ERROR_EXCHANGE,
                   "all_gather left no record of rank %u: it must put the bytes of rank r at "
                   "receive + r * bytes, for all %u ranks",
                   rank, world_);
    }
    if (head.version != kExchangeVersion) {
      return Error(
          LAMPLIGHT_ERROR_DISAGREEMENT,
          "rank %u exchanges version %u, rank %u version %u: use one version of the library", rank,
          head.version, rank_, kExchangeVersion);
    }
    if (head.rank != rank) {
      return Error(
          LAMPLIGHT_ERROR_EXCHANGE,
          "all_gather put the record of rank %u at place %u: two ranks have one number, or "
          "it does not order by options->rank",
          head.rank, rank);
    }
    if (head.round != round_) {
      return Error(LAMPLIGHT_ERROR_EXCHANGE,
                   "rank %u is in round %u, rank %u in round %u: another creation runs on the same "
                   "communicator at the same time",
                   rank, head.round, rank_, round_);
    }
    broken_ = false;
  }
  return {};
}

Status RankExchange::Judge(const Status& mine, const std::vector<RecordHead>& heads) const {
  if (!mine.ok()) return mine;
  for (const RecordHead& head : heads) {
    if (head.status == LAMPLIGHT_OK) continue;
    return Error(LAMPLIGHT_ERROR_PEER, "rank %u failed (%s): %.*s", head.rank,
                 lamplight_status_text(static_cast<lamplight_status>(head.status)),
                 static_cast<int>(sizeof head.text), head.text);
  }
  return {};
}

}  // namespace lamplight::kernels
