// The state of a unicast workspace: where its numbers are, how a block reads them, and how a call
// leaves them.
//
// Device code. TensorRT-LLM moved the two sizes out of the state words, and made them 64 bits wide:
// a call says by `kSizesApart` whether its workspace is such a one. FlashInfer's never is, and its
// kernels (`kUnicast`) do not look.
#pragma once

#include <type_traits>

#include "kernels/journal.cuh"
#include "kernels/protocol.cuh"
#include "kernels/trouble.cuh"

namespace lamplight::kernels {

template <Protocol kProtocol>
class UnicastState {
 public:
  static constexpr bool kMayLieApart = kProtocol == Protocol::kUnicastInWords;
  using Size = std::conditional_t<kMayLieApart, uint64_t, uint32_t>;

  // As a call finds it.
  struct Found {
    uint32_t index;
    uint32_t sync_flag;
    Size generation_bytes;
    Size clear_elements;
  };

  LAMPLIGHT_DEVICE UnicastState(const CollectiveCall& call, uint32_t world, uint32_t* words)
      : words_(words),
        sizes_(Apart(call) ? static_cast<protocol::UnicastSizes*>(call.peer_table[world + 1])
                           : nullptr) {}

  LAMPLIGHT_DEVICE uint32_t* words() const { return words_; }

  // The word that this thread polls for its block.
  LAMPLIGHT_DEVICE const uint32_t* OwnWord(const CollectiveCall& call) const {
    return WordAt(call, machine::Thread());
  }

  // By all threads of the block, once; `own` is OwnWord.
  LAMPLIGHT_DEVICE Found Read(const CollectiveCall& call, const uint32_t* own) const {
    if constexpr (!kMayLieApart) {
      uint32_t words[protocol::kUnicastWords];
      machine::PollForBlock(own, protocol::kUnicastWords, words);
      return InWords(words);
    } else {
      uint32_t words[kWordsApart] = {};
      machine::PollForBlock(own, Apart(call) ? kWordsApart : uint32_t{protocol::kUnicastWords},
                            words, [&](uint32_t i) { return WordAt(call, i); });
      if (!Apart(call)) return InWords(words);
      return {words[protocol::kUnicastIndex] % protocol::kGenerations,
              words[protocol::kUnicastSyncFlag],
              Joined(words[kFirstApart + 2], words[kFirstApart + 3]),
              Joined(words[kFirstApart], words[kFirstApart + 1])};
    }
  }

  // By one thread: the next call may begin, which clears `elements`. `sync_flag` and
  // `generation_bytes`: words that stay, for the journal.
  LAMPLIGHT_DEVICE void MoveOn(const CollectiveCall& call, const Standing& standing, Size elements,
                               uint32_t sync_flag, uint32_t generation_bytes) const {
    const bool apart = Apart(call);
    const uint32_t index = protocol::NextIndex(standing.index);
    volatile uint32_t* words = words_;
    volatile uint32_t* clears = apart
                                    ? reinterpret_cast<volatile uint32_t*>(&sizes_->clear_elements)
                                    : words + protocol::kUnicastClearElements;
    words[protocol::kUnicastIndex] = index;
    if (apart) {
      *const_cast<volatile uint64_t*>(&sizes_->clear_elements) = elements;
    } else {
      *clears = static_cast<uint32_t>(elements);
    }
    words[protocol::kUnicastArrivals] = 0;
    if ((call.options & kFollowersWait) == 0) {
      machine::Await(words[protocol::kUnicastIndex] | *clears | words[protocol::kUnicastArrivals]);
    }
    LeaveWords(call, words_, apart ? kFirstApart : uint32_t{protocol::kUnicastWords},
               {{0, sync_flag, index, apart ? 0 : generation_bytes}},
               {{static_cast<uint32_t>(elements), 0, 0, 0}}, LargeShare(machine::Clusters()));
  }
  // The same by a thread that knows no more than this.
  LAMPLIGHT_DEVICE void MoveOnAnew(const CollectiveCall& call, const Standing& standing,
                                   Size elements) const {
    const uint32_t generation_bytes =
        Apart(call) ? 0 : machine::Poll(words_ + protocol::kUnicastGenerationBytes);
    MoveOn(call, standing, elements, machine::Poll(words_ + protocol::kUnicastSyncFlag),
           generation_bytes);
  }

 private:
  // In place of the words from here on come those of the sizes: two for each.
  static constexpr uint32_t kFirstApart = protocol::kUnicastGenerationBytes;
  static constexpr uint32_t kWordsApart =
      kFirstApart + sizeof(protocol::UnicastSizes) / sizeof(uint32_t);

  static LAMPLIGHT_DEVICE bool Apart(const CollectiveCall& call) {
    return kMayLieApart && (call.options & kSizesApart) != 0;
  }
  static LAMPLIGHT_DEVICE Size Joined(uint32_t low, uint32_t high) {
    return low | static_cast<uint64_t>(high) << 32;
  }
  static LAMPLIGHT_DEVICE Found InWords(const uint32_t* words) {
    return {words[protocol::kUnicastIndex] % protocol::kGenerations,
            words[protocol::kUnicastSyncFlag], words[protocol::kUnicastGenerationBytes],
            words[protocol::kUnicastClearElements]};
  }
  LAMPLIGHT_DEVICE const uint32_t* WordAt(const CollectiveCall& call, uint32_t i) const {
    const bool in_sizes = Apart(call) && i >= kFirstApart;
    return in_sizes ? reinterpret_cast<const uint32_t*>(sizes_) + (i - kFirstApart) : words_ + i;
  }

  uint32_t* words_;
  protocol::UnicastSizes* sizes_;  // where they lie apart
};

}  // namespace lamplight::kernels
