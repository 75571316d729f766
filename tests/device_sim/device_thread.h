// Threads of the simulated device: named, detached, deaf to the host's asynchronous signals.
#pragma once

#include <functional>

namespace device_sim {

void StartDeviceThread(const char* name, std::function<void()> body);

}  // namespace device_sim
