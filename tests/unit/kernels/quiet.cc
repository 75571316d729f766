#include "tests/unit/kernels/quiet.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/packet_layout.h"

namespace lamplight::kernels {
namespace {

// The layout of the field's flags, written out: [index, dirty, bytes, stages, sizes × 4, arrivals].
struct Extent {
  uint64_t begin;
  uint64_t end;
};

std::vector<Extent> Written(const GroupShape& shape, const Work& work) {
  const uint64_t row = LayoutOf(shape.protocol).RowBytes(work.bytes() / work.tokens);
  if (work.kernel == Kernel::kOneShot) return {{0, work.tokens * shape.world * row}};
  const uint64_t owned = (work.tokens + shape.world - 1) / shape.world;
  const uint64_t middle = shape.generation_bytes / 2;
  return {{0, owned * shape.world * row}, {middle, middle + work.tokens * row}};
}

// Every word of [begin, end) of a generation.
void ExpectFilled(const RankGroup& group, uint32_t rank, uint32_t generation, Extent extent,
                  uint32_t word) {
  const uint64_t start = generation * group.shape().generation_bytes;
  const uint32_t* words = group.buffer(rank).As<uint32_t>();
  const uint32_t* first = words + (start + extent.begin) / 4;
  const uint32_t* last = words + (start + extent.end) / 4;
  const uint32_t* odd = std::find_if(first, last, [&](uint32_t w) { return w != word; });
  ASSERT_EQ(odd, last) << "rank " << rank << " generation " << generation << " holds 0x" << std::hex
                       << *odd << " at byte " << std::dec << extent.begin + 4 * (odd - first);
}

void ExpectArmed(const RankGroup& group, uint32_t rank, uint32_t index, uint32_t word,
                 const Work& last) {
  const uint64_t bytes = group.shape().generation_bytes;
  for (const uint32_t ahead : {0u, 1u}) {
    ExpectFilled(group, rank, (index + ahead) % 3, {0, bytes}, word);
  }
  uint64_t from = 0;
  for (const Extent& extent : Written(group.shape(), last)) {
    ExpectFilled(group, rank, (index + 2) % 3, {from, extent.begin}, word);
    from = extent.end;
  }
  ExpectFilled(group, rank, (index + 2) % 3, {from, bytes}, word);
}

void ExpectMnnvlQuiet(const RankGroup& group, uint32_t rank, uint64_t calls, const Work& last) {
  const auto extents = Written(group.shape(), last);
  const auto size = [&](size_t stage) {
    return stage < extents.size() ? extents[stage].end - extents[stage].begin : 0;
  };
  const auto index = static_cast<uint32_t>(calls % 3);
  const uint64_t expected[] = {index,
                               (index + 2) % 3,
                               group.shape().generation_bytes,
                               extents.size(),
                               size(0),
                               size(1),
                               0,
                               0,
                               0};
  for (int i = 0; i < 9; ++i) {
    ASSERT_EQ(group.state(rank)[i], expected[i]) << "rank " << rank << " flag word " << i;
  }
  ExpectArmed(group, rank, index, SentinelOf(group.shape()), last);
}

void ExpectUnicastQuiet(const RankGroup& group, uint32_t rank, uint64_t calls, const Work& last) {
  const auto index = static_cast<uint32_t>(calls % 3);
  const uint64_t elements = last.elements() * group.shape().world;
  const bool apart = group.shape().sizes_apart;
  const uint64_t foreign = RankGroup::kForeign;
  const uint64_t expected[] = {0, 0, index, apart ? foreign : group.shape().generation_bytes,
                               apart ? foreign : elements};
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(group.state(rank)[i], expected[i]) << "rank " << rank << " word " << i;
  }
  if (apart) {
    ASSERT_EQ(group.sizes(rank).clear_elements, elements) << "rank " << rank;
    ASSERT_EQ(group.sizes(rank).generation_bytes, group.shape().generation_bytes);
  }
  ExpectArmed(group, rank, index, SentinelOf(group.shape()), last);
}

// What other ranks have sent to `rank` in a call: nobody sends to itself.
std::vector<Extent> Received(const GroupShape& shape, uint32_t rank, const Work& work) {
  const uint64_t row = LayoutOf(Protocol::kEpoch).RowBytes(work.bytes() / work.tokens);
  std::vector<Extent> rows;
  const auto add = [&](uint64_t begin) { rows.push_back({begin, begin + row}); };
  for (uint32_t token = 0; token < work.tokens; ++token) {
    const bool one_shot = work.kernel == Kernel::kOneShot;
    const bool owned = token % shape.world == rank;
    for (uint32_t peer = 0; peer < shape.world; ++peer) {
      const uint64_t place = one_shot ? token : token / shape.world;
      if (peer != rank && (one_shot || owned)) add((place * shape.world + peer) * row);
    }
    if (!one_shot && !owned) add(shape.generation_bytes / 2 + token * row);
  }
  return rows;
}

// How far behind the next call's tag the tag of each line is: never ahead, none of the call to
// come.
void ExpectEpochQuiet(const RankGroup& group, uint32_t rank, const Work& last) {
  const uint64_t progress = reinterpret_cast<const EpochState*>(group.state(rank))->progress;
  ASSERT_EQ(progress % kWholeCall, 0u);
  const uint64_t calls = progress / kWholeCall;
  const uint64_t lines = group.shape().generation_bytes / 128;
  const uint64_t current = (calls + 1) & 1;  // generation of the last call
  const auto tag = [&](uint64_t generation, uint64_t line) {
    return group.buffer(rank).As<uint64_t>()[(generation * lines + line) * 16 + 15];
  };
  for (const Extent& extent : Received(group.shape(), rank, last)) {
    for (uint64_t line = extent.begin / 128; line < extent.end / 128; ++line) {
      ASSERT_EQ(tag(current, line), EpochTag(group.shape(), last, calls))
          << "rank " << rank << " line " << line;
    }
  }
  for (uint64_t line = 0; line < lines; ++line) {
    for (const uint64_t generation : {0u, 1u}) {
      ASSERT_LT((calls - tag(generation, line)) << 16, uint64_t{1} << 63)
          << "rank " << rank << " line " << line << " has a tag to come";
    }
  }
}

}  // namespace

void ExpectQuiet(const RankGroup& group, uint64_t calls, const Work& work) {
  for (uint32_t rank = 0; rank < group.shape().world; ++rank) {
    if (group.shape().protocol == Protocol::kMnnvl) ExpectMnnvlQuiet(group, rank, calls, work);
    if (IsUnicast(group.shape().protocol)) ExpectUnicastQuiet(group, rank, calls, work);
    if (group.shape().protocol == Protocol::kEpoch) ExpectEpochQuiet(group, rank, work);
    if (testing::Test::HasFatalFailure()) return;
  }
  ASSERT_TRUE(group.GuardsIntact());
}

}  // namespace lamplight::kernels
