// LAMPLIGHT_HD: functions that host code and device code share. No state.
#pragma once

#ifdef __CUDACC__
#define LAMPLIGHT_HD __host__ __device__
#else
#define LAMPLIGHT_HD
#endif
