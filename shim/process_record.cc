// Reads /proc and the launcher's environment variables.
#include "shim/process_record.h"

#include <cuda_runtime_api.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>

#include "shim/recorder/record_builder.h"
#include "shim/resolver.h"

namespace lamplight::shim {
namespace {

RealFunction<decltype(&cudaRuntimeGetVersion)> real_runtime_version{"cudaRuntimeGetVersion"};

std::string ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string LinkTarget(const char* path) {
  char target[4096];
  const ssize_t length = readlink(path, target, sizeof(target));
  return length < 0 ? std::string() : std::string(target, static_cast<size_t>(length));
}

// The first of the variables that holds a number.
int32_t FirstNumber(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    char* end = nullptr;
    const long number = std::strtol(value, &end, 10);
    if (*end == '\0' && number >= 0 && number < 1 << 24) return static_cast<int32_t>(number);
  }
  return -1;
}

void ReadBootId(uint8_t (&boot_id)[16]) {
  const std::string text = ReadFile("/proc/sys/kernel/random/boot_id");
  size_t digits = 0;
  for (const char c : text) {
    if (!std::isxdigit(static_cast<unsigned char>(c)) || digits == 32) continue;
    const int value = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    boot_id[digits / 2] = static_cast<uint8_t>(boot_id[digits / 2] << 4 | value);
    ++digits;
  }
}

std::string Hostname() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

std::string Rendezvous() {
  const char* address = std::getenv("MASTER_ADDR");
  const char* port = std::getenv("MASTER_PORT");
  if (address == nullptr || port == nullptr) return {};
  return std::string(address) + ":" + port;
}

std::string CommandLine() {
  std::string text = ReadFile("/proc/self/cmdline");
  while (!text.empty() && text.back() == '\0') text.pop_back();
  for (char& c : text) {
    if (c == '\0') c = '\n';
  }
  return text;
}

}  // namespace

void DefineProcess(const Config& config, Recorder& recorder) {
  RecordBuilder<trace::Process> builder(trace::RecordType::kProcess);
  builder->pid = static_cast<uint32_t>(getpid());
  builder->ppid = static_cast<uint32_t>(getppid());
  ReadBootId(builder->boot_id);
  builder->start_ns = Recorder::NowNs();
  builder->env_rank =
      config.rank >= 0 ? config.rank
                       : FirstNumber({"RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"});
  builder->env_local_rank =
      FirstNumber({"LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"});
  builder->env_world =
      FirstNumber({"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"});
  builder->timeout_ms = static_cast<uint32_t>(config.timeout.count());
  builder.SetString(&trace::Process::hostname, Hostname());
  builder.SetString(&trace::Process::executable, LinkTarget("/proc/self/exe"));
  builder.SetString(&trace::Process::command_line, CommandLine());
  builder.SetString(&trace::Process::job, config.job);
  builder.SetString(&trace::Process::shim_version, LAMPLIGHT_VERSION);
  builder.SetString(&trace::Process::mode, ModeName(config.mode));
  builder.SetString(&trace::Process::rendezvous, Rendezvous());
  recorder.Define(builder);
}

void DefineDevice(const DriverApi& driver, const Device& device, Recorder& recorder) {
  const auto ordinal = static_cast<CUdevice>(device.ordinal());
  RecordBuilder<trace::Device> builder(trace::RecordType::kDevice);
  builder->device_id = device.ordinal();
  CUuuid uuid{};
  if (driver.DeviceGetUuid(&uuid, ordinal) == CUDA_SUCCESS) {
    std::memcpy(builder->uuid, uuid.bytes, sizeof(uuid.bytes));
  }
  const auto attribute = [&](CUdevice_attribute id) {
    int value = 0;
    driver.DeviceGetAttribute(&value, id, ordinal);
    return static_cast<uint32_t>(value);
  };
  builder->cc_major = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  builder->cc_minor = attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  builder->multiprocessors = attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  int version = 0;
  if (driver.DriverGetVersion(&version) == CUDA_SUCCESS) {
    builder->driver_version = static_cast<uint32_t>(version);
  }
  if (auto* real = real_runtime_version.get(); real != nullptr && real(&version) == cudaSuccess) {
    builder->runtime_version = static_cast<uint32_t>(version);
  }
  char name[256] = {};
  driver.DeviceGetName(name, sizeof(name) - 1, ordinal);
  if (std::strncmp(name, "Simulated", 9) == 0) builder->flags = trace::kDeviceSimulated;
  builder.SetString(&trace::Device::name, name);
  recorder.Define(builder);
}

}  // namespace lamplight::shim
