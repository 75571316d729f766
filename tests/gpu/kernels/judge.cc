#include "tests/gpu/kernels/judge.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "tests/unit/kernels/exact.h"
#include "tests/unit/kernels/narrow.h"
#include "tests/unit/kernels/reference.h"

namespace lamplight::kernels::gpu {
namespace {

// Relative error of a norm in fp32: a sum of thousands of squares, a root and two products.
constexpr double kNormSlack = 1e-5;
// Of a product or a quotient in fp32.
constexpr double kQuotientSlack = 1e-6;
constexpr uint32_t kScaleGroup = 16;

std::string Hex(uint32_t bits) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%x", bits);
  return text;
}

// Checks one job; keeps what all its checks need at hand.
class Judgement {
 public:
  Judgement(const Job& job, const std::vector<Tensors>& tensors, Tally* tally)
      : job_(job), work_(job.work), tensors_(tensors), one_(tensors[0]), tally_(tally) {}

  void Run() {
    ++tally_->calls;
    CheckRanksAgree();
    CheckSums();
    if (work_.norm) CheckNorms();
    if (work_.quantisation == Quantisation::kFp8) CheckFp8();
    if (work_.quantisation == Quantisation::kFp8PerToken) CheckFp8PerToken();
    if (work_.quantisation == Quantisation::kNvfp4) CheckNvfp4();
  }

 private:
  void Wrong(const char* what, uint64_t at, const std::string& found, const std::string& expected) {
    tally_->Wrong(Describe(job_) + ": " + what + " at element " + std::to_string(at) + " is " +
                  found + ", expected " + expected);
  }
  double Output(uint64_t at) const { return ToDouble(one_.output, work_.data_type, at); }

  void CheckSame(Memory Tensors::*member, uint64_t bytes, const char* what) {
    for (const Tensors& other : tensors_) {
      if (std::memcmp((one_.*member).As(), (other.*member).As(), bytes) == 0) continue;
      const auto *mine = (one_.*member).As<uint8_t>(), *theirs = (other.*member).As<uint8_t>();
      const uint64_t at = std::mismatch(mine, mine + bytes, theirs).first - mine;
      tally_->Wrong(Describe(job_) + ": " + what + " of rank " +
                    std::to_string(&other - tensors_.data()) +
                    " has other bits than rank 0's: " + Hex(theirs[at]) + " at byte " +
                    std::to_string(at) + " of " + std::to_string(bytes) + ", not " + Hex(mine[at]));
    }
  }
  void CheckRanksAgree() {
    CheckSame(&Tensors::output, work_.bytes(), "output");
    if (work_.norm) CheckSame(&Tensors::prenorm, work_.bytes(), "residual_out");
    if (work_.quantisation == Quantisation::kNone) return;
    CheckSame(&Tensors::quantised, QuantisedBytes(work_), "quant_output");
    CheckSame(&Tensors::scales, ScaleBytes(work_), "scale_output");
  }

  uint32_t ExpectedSum(uint64_t i) const {
    const uint32_t sum = ExactSum(tensors_, work_.data_type, i);
    if (!work_.norm || !job_.residual) return sum;
    Memory rounded(16);
    SetBits(&rounded, work_.data_type, 0, sum);
    return RoundedBits(work_.data_type,
                       static_cast<float>(ToDouble(rounded, work_.data_type, 0)) +
                           static_cast<float>(ToDouble(one_.residual, work_.data_type, i)));
  }
  void CheckSums() {
    const Memory& sums = work_.norm ? one_.prenorm : one_.output;
    for (uint64_t i = 0; i < work_.elements(); ++i) {
      ++tally_->values;
      const uint32_t found = Bits(sums, work_.data_type, i);
      const uint32_t expected = ExpectedSum(i);
      const bool nans = IsNan(work_.data_type, found) && IsNan(work_.data_type, expected);
      if (found != expected && !nans) Wrong("sum", i, Hex(found), Hex(expected));
    }
  }

  // From the residual sums as found, which were checked to the bit.
  void CheckNorms() {
    for (uint32_t token = 0; token < work_.tokens; ++token) {
      const uint64_t row = uint64_t{token} * work_.hidden;
      double squares = 0;
      for (uint32_t i = 0; i < work_.hidden; ++i) {
        squares += std::pow(ToDouble(one_.prenorm, work_.data_type, row + i), 2);
      }
      const double scale =
          1 / std::sqrt(squares / work_.hidden + static_cast<double>(work_.epsilon));
      for (uint32_t i = 0; i < work_.hidden; ++i) {
        const double gamma =
            ToDouble(one_.gamma, work_.data_type, i) + static_cast<double>(work_.weight_bias);
        CheckNear(row + i, ToDouble(one_.prenorm, work_.data_type, row + i) * scale * gamma);
      }
    }
  }
  // The found value is one that a number near enough to `expected` rounds to.
  void CheckNear(uint64_t at, double expected) {
    ++tally_->values;
    const double found = Output(at);
    if (std::isnan(expected) && std::isnan(found)) return;
    const auto rounded = [&](double value) {
      Memory one(16);
      SetBits(&one, work_.data_type, 0, NearestBits(work_.data_type, value));
      return ToDouble(one, work_.data_type, 0);
    };
    const double low = rounded(expected * (1 - kNormSlack));
    const double high = rounded(expected * (1 + kNormSlack));
    if (std::min(low, high) <= found && found <= std::max(low, high)) return;
    Wrong("norm", at, std::to_string(found), std::to_string(expected));
  }

  template <class Nearest>
  void CheckCode(uint64_t at, double value, uint8_t code, Nearest nearest, const char* what) {
    ++tally_->values;
    const uint8_t low = nearest(value * (1 - kQuotientSlack));
    const uint8_t high = nearest(value * (1 + kQuotientSlack));
    if (code == low || code == high || code == nearest(value)) return;
    Wrong(what, at, Hex(code), Hex(low));
  }
  double Largest(uint64_t first, uint32_t count) const {
    double largest = 0;
    for (uint32_t i = 0; i < count; ++i) largest = std::fmax(largest, std::fabs(Output(first + i)));
    return largest;
  }
  uint8_t Code(uint64_t at) const { return one_.quantised.As<uint8_t>()[at]; }

  void CheckFp8() {
    for (uint64_t i = 0; i < work_.elements(); ++i) {
      CheckCode(i, Output(i) / static_cast<double>(one_.output_scale), Code(i), NearestE4m3, "fp8");
    }
  }
  void CheckFp8PerToken() {
    for (uint32_t token = 0; token < work_.tokens; ++token) {
      const uint64_t row = uint64_t{token} * work_.hidden;
      const double expected = std::fmax(Largest(row, work_.hidden) / 448, 1.0 / 512 / 448);
      const double scale = static_cast<double>(one_.scales.As<float>()[token]);
      if (!(std::fabs(scale - expected) <= expected * kQuotientSlack)) {
        Wrong("scale of token", token, std::to_string(scale), std::to_string(expected));
      }
      for (uint32_t i = 0; i < work_.hidden; ++i) {
        CheckCode(row + i, Output(row + i) / scale, Code(row + i), NearestE4m3, "fp8");
      }
    }
  }

  void CheckNvfp4() {
    const uint32_t groups = work_.hidden / kScaleGroup;
    for (uint32_t token = 0; token < work_.tokens; ++token) {
      for (uint32_t group = 0; group < groups; ++group) CheckNvfp4Group(token, group, groups);
    }
  }
  void CheckNvfp4Group(uint32_t token, uint32_t group, uint32_t groups) {
    const uint64_t first = uint64_t{token} * work_.hidden + group * kScaleGroup;
    const bool linear = work_.scale_layout == ScaleLayout::kLinear;
    const uint64_t place =
        linear ? uint64_t{token} * groups + group : SwizzledPlace(token, group, groups);
    const uint8_t scale = one_.scales.As<uint8_t>()[place];
    const double global = static_cast<double>(one_.output_scale);
    CheckCode(first, global * Largest(first, kScaleGroup) / 6, scale, NearestE4m3, "nvfp4 scale");
    const double factor = FromE4m3Code(scale) == 0 ? 0 : global / FromE4m3Code(scale);
    for (uint64_t i = first; i < first + kScaleGroup; ++i) {
      const uint8_t code = Code(i / 2) >> (i % 2 * 4) & 15;
      CheckCode(i, Output(i) * factor, code, NearestE2m1, "nvfp4");
    }
  }

  const Job& job_;
  const Work& work_;
  const std::vector<Tensors>& tensors_;
  const Tensors& one_;
  Tally* tally_;
};

}  // namespace

void Judge(const Job& job, const std::vector<Tensors>& tensors, Tally* tally) {
  Judgement(job, tensors, tally).Run();
}

}  // namespace lamplight::kernels::gpu
