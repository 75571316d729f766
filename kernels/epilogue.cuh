// What happens to a row of sums: residual, RMSNorm, quantisation, outputs.
//
// Device code, called by all threads of a token's cluster. The first unit of a thread stays in
// registers; those of longer rows wait in shared memory.
#pragma once

#include "kernels/elements.cuh"
#include "kernels/place.cuh"
#include "kernels/quantise.cuh"

namespace lamplight::kernels {

// Sum and residual, rounded to the data type.
template <class Piece>
LAMPLIGHT_DEVICE Piece Added(const Piece& sum, const Piece& residual) {
  Floats<Piece::kElements> both;
  both.Set(sum);
  both.Add(residual);
  Piece added;
  added.Set(both.at);
  return added;
}

template <class Piece>
LAMPLIGHT_DEVICE void AddSquares(const Piece& row, float* squares) {
  LAMPLIGHT_UNROLL
  for (uint32_t i = 0; i < Piece::kElements; ++i) *squares += row.At(i) * row.At(i);
}

// One unit of a normed row: (row * scale) * (gamma + bias), as in the field. What a norm makes of a
// row is of the order of 1, whatever its numbers are, so only weights that are too large overflow;
// and weights that the bias almost takes away keep their digits.
template <class Piece>
LAMPLIGHT_DEVICE Piece Scaled(const Piece& row, float scale, const Piece& gamma, float bias) {
  Floats<Piece::kElements> weights;
  weights.Set(gamma);
  // Most norms have none: this is what all threads do last in a call.
  if (bias != 0) {
    LAMPLIGHT_UNROLL
    for (float& weight : weights.at) weight += bias;
  }
  float values[Piece::kElements];
  LAMPLIGHT_UNROLL
  for (uint32_t i = 0; i < Piece::kElements; ++i) values[i] = row.At(i) * scale * weights.at[i];
  Piece scaled;
  scaled.Set(values);
  return scaled;
}

template <class Exchange>
class Epilogue {
 public:
  using Piece = typename Exchange::Piece;
  using Position = typename Exchange::Position;
  using Words = machine::Words4;

  LAMPLIGHT_DEVICE Epilogue(const CollectiveCall& call, const Position& place)
      : call_(call), place_(place) {}

  // Loads that need not wait for the sums.
  LAMPLIGHT_DEVICE void Prefetch() {
    const uint32_t unit = UnitAt(0);
    if (unit == Position::kNoUnit || !Norms()) return;
    if (call_.residual_in != nullptr) residual_ = LoadOf(call_.residual_in, unit);
    gamma_ = Gamma(unit);
  }

  // The k-th unit of this thread, rounded to the data type.
  LAMPLIGHT_DEVICE void Take(uint32_t k, const Piece& sum) {
    const uint32_t unit = UnitAt(k);
    Piece value = sum;
    if (unit != Position::kNoUnit && Norms()) {
      if (call_.residual_in != nullptr) {
        value = Added(sum, k == 0 ? residual_ : LoadOf(call_.residual_in, unit));
      }
      if (call_.residual_out != nullptr) StoreTo(call_.residual_out, unit, value);
      AddSquares(value, &squares_);
    }
    Keep(k, value);
  }

  // Returns when all threads of the cluster have called it. The kernel has announced itself to the
  // cluster: shared memory of a block that has not begun must not be touched.
  LAMPLIGHT_DEVICE void Meet() {
    machine::AwaitClusterBegun();
    const float mean = machine::ClusterSum(squares_, 0) * call_.inverse_hidden;
    scale_ = machine::InverseRoot(mean + call_.epsilon);
  }

  LAMPLIGHT_DEVICE void Write() {
    float largest = 0;
    for (uint32_t k = 0; k < call_.fragments; ++k) {
      const uint32_t unit = UnitAt(k);
      if (unit == Position::kNoUnit) continue;
      const Piece row = Norms() ? Normed(k, unit) : Kept(k);
      if (call_.output != nullptr) StoreTo(call_.output, unit, row);
      if (call_.quantisation == Quantisation::kNone) continue;
      Keep(k, row);
      LAMPLIGHT_UNROLL
      for (uint32_t i = 0; i < Piece::kElements; ++i) largest = fmaxf(largest, fabsf(row.At(i)));
    }
    if (call_.quantisation == Quantisation::kFp8) WriteFp8(1.0f / *call_.output_scale);
    if (call_.quantisation == Quantisation::kFp8PerToken) WriteFp8PerToken(largest);
    if (call_.quantisation == Quantisation::kNvfp4) WriteNvfp4();
  }

  // Instead of everything else, where the call cannot be done: no caller takes NaN for a result.
  LAMPLIGHT_DEVICE void Poison() {
    machine::AwaitClusterBegun();
    Piece nan;
    nan.Poison();
    for (uint32_t k = 0; k < call_.fragments; ++k) {
      const uint32_t unit = UnitAt(k);
      if (unit == Position::kNoUnit) continue;
      PoisonUnit(call_.output, unit);
      if (Norms()) PoisonUnit(call_.residual_out, unit);
      Keep(k, nan);
    }
    if (call_.quantisation == Quantisation::kFp8) WriteFp8(1.0f);
    if (call_.quantisation == Quantisation::kFp8PerToken && place_.FirstOfCluster()) {
      static_cast<float*>(call_.scale_output)[place_.token] = nan_();
    }
    if (call_.quantisation == Quantisation::kNvfp4) PoisonScales();
  }

 private:
  static LAMPLIGHT_DEVICE float nan_() { return BitsAs<float>(Element<DataType::kFp32>::kNan); }

  LAMPLIGHT_DEVICE bool Norms() const { return (call_.options & kNorm) != 0; }

  LAMPLIGHT_DEVICE uint32_t UnitAt(uint32_t k) const {
    return place_.UnitOf(place_.thread + k * place_.threads);
  }

  template <class Tensor>
  LAMPLIGHT_DEVICE Piece LoadOf(Tensor* tensor, uint32_t unit) const {
    Piece piece;
    piece.words = machine::Load(place_.template InTensor<const Words>(tensor, unit));
    return piece;
  }
  LAMPLIGHT_DEVICE void StoreTo(void* tensor, uint32_t unit, const Piece& piece) const {
    machine::Store(place_.template InTensor<Words>(tensor, unit), piece.words);
  }
  // By elements: a misaligned tensor may be the very trouble.
  LAMPLIGHT_DEVICE void PoisonUnit(void* tensor, uint32_t unit) const {
    using Bits = typename Piece::Bits;
    if (tensor == nullptr || reinterpret_cast<uint64_t>(tensor) % sizeof(Bits) != 0) return;
    Bits* element = place_.template InTensor<Bits>(tensor, unit);
    for (uint32_t i = 0; i < Piece::kElements; ++i) element[i] = Element<Exchange::kType>::kNan;
  }
  // e2m1 has no NaN, but its scales have.
  LAMPLIGHT_DEVICE void PoisonScales() const {
    for (uint32_t g = place_.thread; g < call_.hidden / kNvfp4Group; g += place_.threads) {
      static_cast<uint8_t*>(
          call_.scale_output)[ScaleOffset(call_.scale_layout, place_.token, g, call_.hidden)] =
          kE4m3Nan;
    }
  }
  LAMPLIGHT_DEVICE Piece Gamma(uint32_t unit) const {
    Piece piece;
    piece.words = machine::Load(static_cast<const Words*>(call_.gamma) + unit);
    return piece;
  }

  LAMPLIGHT_DEVICE Words* Spare(uint32_t k) const {
    return reinterpret_cast<Words*>(machine::DynamicShared()) + (k - 1) * machine::BlockThreads() +
           machine::Thread();
  }
  LAMPLIGHT_DEVICE void Keep(uint32_t k, const Piece& piece) {
    if (k == 0) {
      first_ = piece;
    } else {
      *Spare(k) = piece.words;
    }
  }
  LAMPLIGHT_DEVICE Piece Kept(uint32_t k) const {
    if (k == 0) return first_;
    Piece piece;
    piece.words = *Spare(k);
    return piece;
  }

  LAMPLIGHT_DEVICE Piece Normed(uint32_t k, uint32_t unit) const {
    return Scaled(Kept(k), scale_, k == 0 ? gamma_ : Gamma(unit), call_.weight_bias);
  }

  LAMPLIGHT_DEVICE void WriteFp8(float factor) const {
    for (uint32_t k = 0; k < call_.fragments; ++k) {
      const uint32_t unit = UnitAt(k);
      if (unit == Position::kNoUnit) continue;
      const Piece row = Kept(k);
      uint8_t* out = static_cast<uint8_t*>(call_.quant_output) +
                     static_cast<uint64_t>(place_.token) * call_.hidden + unit * Piece::kElements;
      LAMPLIGHT_UNROLL
      for (uint32_t i = 0; i < Piece::kElements; i += 2) {
        const uint32_t low = ToE4m3(row.At(i) * factor);
        const uint32_t high = ToE4m3(row.At(i + 1) * factor);
        *reinterpret_cast<uint16_t*>(out + i) = static_cast<uint16_t>(low | high << 8);
      }
    }
  }

  LAMPLIGHT_DEVICE void WriteFp8PerToken(float largest) const {
    const float scale = TokenScale(machine::ClusterMax(largest, 1));
    if (place_.FirstOfCluster()) static_cast<float*>(call_.scale_output)[place_.token] = scale;
    WriteFp8(1.0f / scale);
  }

  // Groups of 16 elements span threads, so each round of the row goes through shared memory.
  LAMPLIGHT_DEVICE void WriteNvfp4() const {
    auto* stage = reinterpret_cast<float*>(
        machine::DynamicShared() + (call_.fragments - 1) * machine::BlockThreads() * sizeof(Words));
    for (uint32_t k = 0; k < call_.fragments; ++k) {
      const uint32_t first = FirstUnitOfRound(k);
      const uint32_t unit = UnitAt(k);
      if (unit != Position::kNoUnit) {
        const Piece row = Kept(k);
        for (uint32_t i = 0; i < Piece::kElements; ++i) {
          stage[(unit - first) * Piece::kElements + i] = row.At(i);
        }
      }
      machine::SyncBlock();
      WriteGroups(stage, first, UnitsOfRound(k));
      machine::SyncBlock();
    }
  }

  // Units that this block carries in round k: a whole number of groups, but for the row's end.
  LAMPLIGHT_DEVICE uint32_t FirstUnitOfRound(uint32_t k) const {
    const uint32_t slot = machine::BlockOfCluster() * machine::BlockThreads() + k * place_.threads;
    return Position::kPairs ? slot / kPairSlots * kPairUnits : slot;
  }
  LAMPLIGHT_DEVICE uint32_t UnitsOfRound(uint32_t k) const {
    const uint32_t first = FirstUnitOfRound(k);
    if (first >= place_.units) return 0;
    const uint32_t whole = Position::kPairs ? machine::BlockThreads() / kPairSlots * kPairUnits
                                            : machine::BlockThreads();
    return place_.units - first < whole ? place_.units - first : whole;
  }

  LAMPLIGHT_DEVICE void WriteGroups(const float* stage, uint32_t first_unit, uint32_t units) const {
    const uint32_t groups = units * Piece::kElements / kNvfp4Group;
    const uint32_t first_group = first_unit * Piece::kElements / kNvfp4Group;
    for (uint32_t g = machine::Thread(); g < groups; g += machine::BlockThreads()) {
      const float* value = stage + g * kNvfp4Group;
      float largest = 0;
      for (uint32_t i = 0; i < kNvfp4Group; ++i) largest = LargerOrNan(largest, fabsf(value[i]));
      float factor;
      const uint8_t scale = Nvfp4Scale(largest, *call_.output_scale, &factor);
      const uint32_t group = first_group + g;
      static_cast<uint8_t*>(
          call_.scale_output)[ScaleOffset(call_.scale_layout, place_.token, group, call_.hidden)] =
          scale;
      uint8_t* out = static_cast<uint8_t*>(call_.quant_output) +
                     (static_cast<uint64_t>(place_.token) * call_.hidden + group * kNvfp4Group) / 2;
      for (uint32_t i = 0; i < kNvfp4Group; i += 2) {
        out[i / 2] = ToE2m1Pair(value[i] * factor, value[i + 1] * factor);
      }
    }
  }

  const CollectiveCall& call_;
  const Position& place_;
  Piece first_;
  Piece residual_;
  Piece gamma_;
  float squares_ = 0;
  float scale_ = 1;
};

}  // namespace lamplight::kernels
