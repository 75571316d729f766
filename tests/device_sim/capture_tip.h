// A node that the next operation captured on a stream will depend on. Plain value.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <memory>

namespace device_sim {

struct Node;

struct CaptureTip {
  Node* node = nullptr;  // lives as long as the capture's graph
  CUgraphEdgeData edge{};
};

}  // namespace device_sim
