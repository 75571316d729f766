#include "tests/unit/kernels/reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace lamplight::kernels {
namespace {

struct Format {
  int exponent_bits;
  int mantissa_bits;
};

Format FormatOf(DataType type) {
  if (type == DataType::kFp16) return {5, 10};
  if (type == DataType::kBf16) return {8, 7};
  return {8, 23};
}

double FromBits(DataType type, uint32_t bits) {
  const Format format = FormatOf(type);
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const int all_ones = (1 << format.exponent_bits) - 1;
  const uint32_t mantissa = bits & ((1u << format.mantissa_bits) - 1);
  const int exponent = static_cast<int>(bits >> format.mantissa_bits) & all_ones;
  const bool negative = (bits >> (format.mantissa_bits + format.exponent_bits)) != 0;
  double value;
  if (exponent == all_ones) {
    value = mantissa == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, 1 - bias - format.mantissa_bits);
  } else {
    value =
        std::ldexp(mantissa | (1u << format.mantissa_bits), exponent - bias - format.mantissa_bits);
  }
  return negative ? -value : value;
}

// Half a unit in the last place of the type, at `value`.
double HalfUlp(DataType type, double value) {
  const Format format = FormatOf(type);
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  const int exponent = value == 0 ? 1 - bias : std::max(std::ilogb(value), 1 - bias);
  return std::ldexp(0.5, exponent - format.mantissa_bits);
}

void ExpectNear(double expected, double actual, double tolerance, const char* what, uint64_t at) {
  if (std::isnan(expected)) {
    ASSERT_TRUE(std::isnan(actual)) << what << " at " << at;
  } else if (std::isinf(expected)) {
    ASSERT_EQ(expected, actual) << what << " at " << at;
  } else {
    ASSERT_LE(std::fabs(expected - actual), tolerance)
        << what << " at " << at << ": " << actual << " for " << expected;
  }
}

void ExpectSameBits(const Memory& a, const Memory& b, uint64_t bytes, const char* what) {
  ASSERT_EQ(std::memcmp(a.As(), b.As(), bytes), 0) << what << " differ between ranks";
}

}  // namespace

uint32_t Bits(const Memory& tensor, DataType type, uint64_t index) {
  return type == DataType::kFp32 ? tensor.As<uint32_t>()[index] : tensor.As<uint16_t>()[index];
}

void SetBits(Memory* tensor, DataType type, uint64_t index, uint32_t bits) {
  if (type == DataType::kFp32) {
    tensor->As<uint32_t>()[index] = bits;
  } else {
    tensor->As<uint16_t>()[index] = static_cast<uint16_t>(bits);
  }
}

double ToDouble(const Memory& tensor, DataType type, uint64_t index) {
  return FromBits(type, Bits(tensor, type, index));
}

bool IsNan(DataType type, uint32_t bits) { return std::isnan(FromBits(type, bits)); }

uint32_t NearestBits(DataType type, double value) {
  const Format format = FormatOf(type);
  const uint32_t sign =
      std::signbit(value) ? 1u << (format.mantissa_bits + format.exponent_bits) : 0u;
  const uint32_t infinity = ((1u << format.exponent_bits) - 1) << format.mantissa_bits;
  if (std::isnan(value)) return infinity | 1u << (format.mantissa_bits - 1);
  const double magnitude = std::fabs(value);
  const int bias = (1 << (format.exponent_bits - 1)) - 1;
  if (magnitude >= std::ldexp(1.0, bias + 1)) return sign | infinity;
  const int exponent = magnitude == 0 ? 1 - bias : std::max(std::ilogb(magnitude), 1 - bias);
  // Units in the last place; a carry out of the mantissa moves the exponent up by itself.
  const double units = std::nearbyint(std::ldexp(magnitude, format.mantissa_bits - exponent));
  const uint32_t base = static_cast<uint32_t>(exponent + bias - 1) << format.mantissa_bits;
  return sign | (base + static_cast<uint32_t>(units));
}

void FillRandom(Memory* tensor, DataType type, uint64_t count, std::mt19937* random) {
  std::normal_distribution<double> normal(0.0, 1.0);
  for (uint64_t i = 0; i < count; ++i) {
    const double value = static_cast<float>(normal(*random));
    SetBits(tensor, type, i, NearestBits(type, value));
  }
}

std::vector<Tensors> RandomTensors(uint32_t world, const Work& work, uint32_t seed) {
  std::vector<Tensors> tensors;
  std::mt19937 shared(seed);
  Memory residual(work.bytes());
  Memory gamma(uint64_t{work.hidden} * BytesOf(work.data_type));
  FillRandom(&residual, work.data_type, work.elements(), &shared);
  FillRandom(&gamma, work.data_type, work.hidden, &shared);
  for (uint32_t rank = 0; rank < world; ++rank) {
    Tensors& one = tensors.emplace_back(work);
    std::mt19937 random(seed * 1000 + rank);
    FillRandom(&one.input, work.data_type, work.elements(), &random);
    one.residual = residual;
    one.gamma = gamma;
  }
  return tensors;
}

Expected ExpectedOf(const std::vector<Tensors>& tensors, const Work& work) {
  Expected expected;
  const DataType type = work.data_type;
  for (uint64_t i = 0; i < work.elements(); ++i) {
    double sum = 0;
    for (const Tensors& one : tensors) sum += ToDouble(one.input, type, i);
    expected.sum.push_back(sum);
    const double rounded = FromBits(type, NearestBits(type, sum));
    const double prenorm = work.norm ? rounded + ToDouble(tensors[0].residual, type, i) : rounded;
    expected.prenorm.push_back(prenorm);
  }
  for (uint32_t token = 0; token < work.tokens && work.norm; ++token) {
    double squares = 0;
    for (uint32_t i = 0; i < work.hidden; ++i) {
      const uint64_t at = uint64_t{token} * work.hidden + i;
      const double value = FromBits(type, NearestBits(type, expected.prenorm[at]));
      squares += value * value;
    }
    const double scale = 1 / std::sqrt(squares / work.hidden + work.epsilon);
    for (uint32_t i = 0; i < work.hidden; ++i) {
      const uint64_t at = uint64_t{token} * work.hidden + i;
      const double gamma = ToDouble(tensors[0].gamma, type, i) + work.weight_bias;
      expected.output.push_back(FromBits(type, NearestBits(type, expected.prenorm[at])) * scale *
                                gamma);
    }
  }
  if (!work.norm) expected.output = expected.sum;
  return expected;
}

void ExpectRight(const std::vector<Tensors>& tensors, const Work& work) {
  const Expected expected = ExpectedOf(tensors, work);
  const DataType type = work.data_type;
  for (const Tensors& one : tensors) {
    ExpectSameBits(one.output, tensors[0].output, work.bytes(), "outputs");
    if (work.norm) ExpectSameBits(one.prenorm, tensors[0].prenorm, work.bytes(), "prenorms");
  }
  for (uint64_t i = 0; i < work.elements(); ++i) {
    double magnitude = 0;
    for (const Tensors& one : tensors) magnitude += std::fabs(ToDouble(one.input, type, i));
    if (std::isnan(magnitude) || std::isinf(magnitude)) magnitude = 0;
    // Rounding of fp32 sums in between, then to the type; a sum that rounds differently moves the
    // rest by one unit more.
    const double in_sum = magnitude * 1e-6;
    const double of_sum = in_sum + 2.01 * HalfUlp(type, expected.sum[i]);
    if (work.norm) {
      const double of_prenorm = of_sum + 2.01 * HalfUlp(type, expected.prenorm[i]);
      ExpectNear(expected.prenorm[i], ToDouble(tensors[0].prenorm, type, i), of_prenorm, "prenorm",
                 i);
      const double ratio =
          std::fabs(expected.output[i]) / std::max(std::fabs(expected.prenorm[i]), 1e-30);
      const double of_output = of_prenorm * (ratio + 1e-3) + std::fabs(expected.output[i]) * 1e-3 +
                               2.01 * HalfUlp(type, expected.output[i]);
      ExpectNear(expected.output[i], ToDouble(tensors[0].output, type, i), of_output, "output", i);
    } else {
      ExpectNear(expected.sum[i], ToDouble(tensors[0].output, type, i), of_sum, "sum", i);
    }
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace lamplight::kernels
