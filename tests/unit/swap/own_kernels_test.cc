// Our own kernels are recognised and decoded like those of the field, so that a swapped launch
// leaves the same evidence.
#include <cstddef>

#include "kernels/launch_plan.h"
#include "tests/unit/swap/launch.h"

namespace lamplight::shim {
namespace {

using kernels::CollectiveCall;
using kernels::DataType;
using kernels::Kernel;
using kernels::KernelId;
using kernels::Protocol;

lamport::Recognition Recognised(const KernelId& id,
                                const lamport::AbiTable& table = BuiltInTable()) {
  const lamport::ParameterSpan parameters[] = {{0, sizeof(CollectiveCall)}};
  return table.Recognise(kernels::SymbolOf(id), parameters);
}

template <class T>
T* At(uint64_t address) {
  return reinterpret_cast<T*>(address);
}

CollectiveCall Call() {
  CollectiveCall call{};
  call.output = At<void>(0x1000);
  call.residual_out = At<void>(0x2000);
  call.input = At<void>(0x3000);
  call.peer_table = At<void* const>(0x4000);
  call.local = At<void>(0x5000);
  call.state = At<void>(0x6000);
  call.multicast = At<void>(0x7000);
  call.tokens = 16;
  call.hidden = 2880;
  call.world = 4;
  call.rank = 2;
  return call;
}

lamport::DecodedCall Decoded(const KernelId& id, CollectiveCall call,
                             const lamport::AbiTable& table = BuiltInTable()) {
  lamport::DecodedCall decoded;
  void* argument = &call;
  EXPECT_TRUE(lamport::Decode(Recognised(id, table), &argument, {.grid = {16, 2, 1}, .cluster = 2},
                              &decoded))
      << kernels::SymbolOf(id);
  return decoded;
}

TEST(OwnKernels, AreDecodedInEveryTypeAndWorld) {
  for (const Kernel kernel : {Kernel::kOneShot, Kernel::kTwoShot, Kernel::kTwoShotNorm}) {
    for (const DataType type : {DataType::kFp16, DataType::kBf16, DataType::kFp32}) {
      for (const uint32_t world : {2u, 4u, 8u, 16u}) {
        const KernelId id = kernels::IdFor(kernel, Protocol::kMnnvl, type, world);
        const lamport::Recognition recognition = Recognised(id);
        ASSERT_TRUE(recognition.decoded) << kernels::SymbolOf(id) << recognition.reason;
        EXPECT_EQ(recognition.compare, protocol::Compare::kBitwise);
        const lamport::DecodedCall decoded = Decoded(id, Call());
        EXPECT_EQ(decoded.flags_address, 0x6000u);
        EXPECT_EQ(decoded.peers_address, 0x4000u);
        EXPECT_EQ(decoded.local_address, 0x5000u);
        EXPECT_EQ(decoded.multicast_address, 0x7000u);
        EXPECT_EQ(decoded.shard_address, 0x3000u);
        EXPECT_EQ(decoded.call.tokens, 16u);
        EXPECT_EQ(decoded.call.dim, 2880u);
        EXPECT_EQ(decoded.call.rank, 2u);
        EXPECT_EQ(decoded.call.world, 4u);
        EXPECT_NE(decoded.call.flags & trace::kCallAdvances, 0u);
        EXPECT_EQ(decoded.call.expected_arrivals, 16u);
      }
    }
  }
}

TEST(OwnKernels, SendsAdvanceOnlyWhenTheyAwaitTheSums) {
  const KernelId id = kernels::IdFor(Kernel::kTwoShotSends, Protocol::kMnnvl, DataType::kBf16, 4);
  CollectiveCall call = Call();
  EXPECT_EQ(Decoded(id, call).call.flags & trace::kCallAdvances, 0u);
  call.options = kernels::kAwaitSums;
  EXPECT_NE(Decoded(id, call).call.flags & trace::kCallAdvances, 0u);
}

TEST(OwnKernels, UnicastFlagsLieBehindTheWorkspaceAsInTheField) {
  const KernelId id = kernels::IdFor(Kernel::kOneShot, Protocol::kUnicast, DataType::kBf16, 4);
  const lamport::DecodedCall decoded = Decoded(id, Call());
  EXPECT_TRUE(decoded.flags_indirect);
  EXPECT_EQ(decoded.flags_address, 0x4000u + 4 * sizeof(void*));
  EXPECT_EQ(decoded.peers_address, 0x4000u);
}

TEST(OwnKernels, UnicastSizesAreWhereTensorRtLlmsAre) {
  for (const DataType type : {DataType::kFp16, DataType::kBf16, DataType::kFp32}) {
    const KernelId id = kernels::IdFor(Kernel::kOneShot, Protocol::kUnicastInWords, type, 4);
    EXPECT_EQ(Recognised(id).flag_layout, trace::FlagLayout::kUnknown);
    EXPECT_EQ(Recognised(id).algorithm, trace::Algorithm::kUnicastOneShot);
    EXPECT_EQ(Recognised(id).mark, lamport::Mark{}) << "words, whatever the type";
    const std::unique_ptr<lamport::AbiTable> narrow = ArmedTable("EPfi");
    EXPECT_EQ(Recognised(id, *narrow).flag_layout, trace::FlagLayout::kUnicast);
    EXPECT_EQ(Recognised(id, *narrow).flag_words, 5u);
    EXPECT_EQ(Decoded(id, Call(), *narrow).flags_address, 0x4000u + 4 * sizeof(void*));
    EXPECT_EQ(Decoded(id, Call(), *narrow).sizes_address, 0u);
    const std::unique_ptr<lamport::AbiTable> apart = ArmedTable("EPfm");
    EXPECT_EQ(Recognised(id, *apart).flag_layout, trace::FlagLayout::kUnicast);
    EXPECT_EQ(Recognised(id, *apart).flag_words, 3u);
    EXPECT_EQ(Decoded(id, Call(), *apart).flags_address, 0x4000u + 4 * sizeof(void*));
    EXPECT_EQ(Decoded(id, Call(), *apart).sizes_address, 0x4000u + 5 * sizeof(void*));
    EXPECT_EQ(Decoded(id, Call(), *apart).call.expected_arrivals, 16u);
  }
}

TEST(OwnKernels, EpochCallsTellWhatTheirStateDoesNot) {
  CollectiveCall call = Call();
  call.generation_bytes = uint64_t{3} << 32;
  call.header_offset = uint64_t{7} << 32;
  for (const Kernel kernel : {Kernel::kOneShot, Kernel::kTwoShot}) {
    for (const DataType type : {DataType::kFp16, DataType::kBf16, DataType::kFp32}) {
      const KernelId id = kernels::IdFor(kernel, Protocol::kEpoch, type, 4);
      const lamport::Recognition recognition = Recognised(id);
      ASSERT_TRUE(recognition.decoded) << kernels::SymbolOf(id) << recognition.reason;
      EXPECT_EQ(recognition.flag_layout, trace::FlagLayout::kEpoch);
      EXPECT_EQ(recognition.flag_words * sizeof(uint32_t), sizeof(kernels::EpochState));
      EXPECT_EQ(recognition.algorithm, kernel == Kernel::kOneShot
                                           ? trace::Algorithm::kEpochOneShot
                                           : trace::Algorithm::kEpochTwoShot);
      const lamport::DecodedCall decoded = Decoded(id, call);
      EXPECT_EQ(decoded.flags_address, 0x6000u);
      EXPECT_EQ(decoded.local_address, 0x5000u);
      EXPECT_EQ(decoded.generation_bytes, call.generation_bytes);
      EXPECT_EQ(decoded.header_offset, call.header_offset);
      EXPECT_NE(decoded.call.flags & trace::kCallAdvances, 0u);
      EXPECT_EQ(decoded.call.expected_arrivals, 16u);
    }
  }
}

TEST(OwnKernels, MnnvlCallsTellWhereTheirHeadersAre) {
  CollectiveCall call = Call();
  call.header_offset = 0x9000;
  for (const Kernel kernel : {Kernel::kOneShot, Kernel::kTwoShot}) {
    const KernelId id = kernels::IdFor(kernel, Protocol::kMnnvl, DataType::kFp32, 2);
    EXPECT_EQ(Decoded(id, call).header_offset, 0x9000u);
    EXPECT_EQ(Decoded(id, call).generation_bytes, 0u);
  }
}

TEST(OwnKernels, TellWhereTheyReport) {
  CollectiveCall call = Call();
  call.diagnostic = At<kernels::Diagnostic>(0x9100);
  for (const Protocol protocol :
       {Protocol::kMnnvl, Protocol::kUnicast, Protocol::kUnicastInWords, Protocol::kEpoch}) {
    const KernelId id = kernels::IdFor(Kernel::kOneShot, protocol, DataType::kBf16, 4);
    EXPECT_EQ(Decoded(id, call).diagnostic_address, 0x9100u);
  }
  EXPECT_EQ(offsetof(CollectiveCall, diagnostic), 184u);
}

TEST(OwnKernels, AnotherParameterSizeIsNotDecoded) {
  const lamport::ParameterSpan parameters[] = {{0, sizeof(CollectiveCall) + 8}};
  EXPECT_FALSE(BuiltInTable().Recognise("lamplight_oneshot_mnnvl_bf16_w2", parameters).decoded);
}

}  // namespace
}  // namespace lamplight::shim
