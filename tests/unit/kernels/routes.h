// The ways from inputs to sums: protocol and kernel, with names for test parameters. Constants.
#pragma once

#include <string>

#include "tests/unit/kernels/rank_group.h"

namespace lamplight::kernels {

struct Route {
  Protocol protocol;
  Kernel kernel;
  bool sizes_apart = false;  // kUnicastInWords
};

inline constexpr Route kRoutes[] = {
    {Protocol::kMnnvl, Kernel::kOneShot},
    {Protocol::kMnnvl, Kernel::kTwoShot},
    {Protocol::kMnnvl, Kernel::kTwoShotSends},
    {Protocol::kUnicast, Kernel::kOneShot},
    {Protocol::kEpoch, Kernel::kOneShot},
    {Protocol::kEpoch, Kernel::kTwoShot},
    {Protocol::kUnicastInWords, Kernel::kOneShot},
    {Protocol::kUnicastInWords, Kernel::kOneShot, true},
};
// Of unicast workspaces: those of elements, of words, of words with their sizes apart.
inline constexpr Route kUnicastRoutes[] = {kRoutes[3], kRoutes[6], kRoutes[7]};

// E.g. "twoshot_epoch".
inline std::string NameOf(const Route& route) {
  const std::string symbol = SymbolOf({route.kernel, route.protocol, DataType::kBf16, 0});
  constexpr size_t kPrefix = 10;  // "lamplight_"
  return symbol.substr(kPrefix, symbol.rfind("_bf16") - kPrefix) +
         (route.sizes_apart ? "_apart" : "");
}

// A group whose generations hold exactly what `work` needs.
inline GroupShape ShapeFor(const Route& route, uint32_t world, const Work& work) {
  const uint64_t need = GenerationBytes(route.protocol, route.kernel, work.data_type, world,
                                        work.tokens, work.hidden);
  return {.protocol = route.protocol,
          .world = world,
          .generation_bytes = need,
          .data_type = work.data_type,
          .sizes_apart = route.sizes_apart};
}

}  // namespace lamplight::kernels
