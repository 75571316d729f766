// Describes this process and its devices in the trace.
#pragma once

#include "shim/config.h"
#include "shim/device.h"
#include "shim/driver_api.h"
#include "shim/recorder/recorder.h"

namespace lamplight::shim {

void DefineProcess(const Config& config, Recorder& recorder);
void DefineDevice(const DriverApi& driver, const Device& device, Recorder& recorder);

}  // namespace lamplight::shim
