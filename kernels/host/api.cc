// The C entries: null checks, one call each, and no exception beyond. Thread-safe.
#include <new>

#include "kernels/host/call.h"

namespace {

using lamplight::kernels::Capacity;
using lamplight::kernels::DataType;
using lamplight::kernels::Error;
using lamplight::kernels::Kernel;
using lamplight::kernels::Shape;
using lamplight::kernels::Status;
using lamplight::kernels::Workspace;

// Keeps exceptions in: the caller may be C.
template <class Body>
lamplight_status Run(Body body) noexcept {
  try {
    return lamplight::kernels::Keep(body());
  } catch (const std::bad_alloc&) {
  } catch (const std::exception& exception) {
    return lamplight::kernels::Keep(Status(LAMPLIGHT_ERROR_INTERNAL, exception.what()));
  }
  return lamplight::kernels::Keep(Status(LAMPLIGHT_ERROR_OUT_OF_MEMORY, "host memory"));
}

Status CheckNotNull(const void* address, const char* name) {
  if (address != nullptr) return {};
  return Error(LAMPLIGHT_ERROR_NULL, "%s is null", name);
}

// Makes a workspace by `make(std::unique_ptr<Workspace>*)`.
template <class Make>
lamplight_status Produce(lamplight_workspace** out, Make make) {
  return Run([&]() -> Status {
    LAMPLIGHT_TRY(CheckNotNull(out, "workspace"));
    *out = nullptr;
    auto handle = std::make_unique<lamplight_workspace>();
    LAMPLIGHT_TRY(make(&handle->impl));
    *out = handle.release();
    return {};
  });
}

Status ReadKernel(uint32_t algorithm, const char* name, Kernel* kernel) {
  if (algorithm != LAMPLIGHT_ALGORITHM_ONE_SHOT && algorithm != LAMPLIGHT_ALGORITHM_TWO_SHOT) {
    return Error(LAMPLIGHT_ERROR_ALGORITHM, "%s is %u: give AUTO (0), ONE_SHOT (1) or TWO_SHOT (2)",
                 name, algorithm);
  }
  *kernel = algorithm == LAMPLIGHT_ALGORITHM_ONE_SHOT ? Kernel::kOneShot : Kernel::kTwoShot;
  return {};
}

Status ReadMaxTokens(const Capacity& capacity, uint32_t hidden, DataType type, uint32_t algorithm,
                     uint32_t* tokens) {
  const uint32_t one_shot = capacity.MaxTokens(Kernel::kOneShot, hidden, type);
  const uint32_t two_shot = capacity.MaxTokens(Kernel::kTwoShot, hidden, type);
  if (algorithm == LAMPLIGHT_ALGORITHM_AUTO) {
    *tokens = one_shot > two_shot ? one_shot : two_shot;
    return {};
  }
  Kernel kernel = Kernel::kOneShot;
  LAMPLIGHT_TRY(ReadKernel(algorithm, "algorithm", &kernel));
  *tokens = kernel == Kernel::kOneShot ? one_shot : two_shot;
  return {};
}

}  // namespace

extern "C" {

lamplight_status lamplight_workspace_create(const lamplight_workspace_options* options,
                                            lamplight_workspace** workspace) {
  return Produce(workspace, [&](std::unique_ptr<Workspace>* made) {
    return lamplight::kernels::CreateWorkspace(options, made);
  });
}

lamplight_status lamplight_workspace_adopt(const lamplight_adopt_options* options,
                                           lamplight_workspace** workspace) {
  return Produce(workspace, [&](std::unique_ptr<Workspace>* made) {
    return lamplight::kernels::AdoptWorkspace(options, made);
  });
}

lamplight_status lamplight_workspace_destroy(lamplight_workspace* workspace) {
  delete workspace;
  return LAMPLIGHT_OK;
}

lamplight_status lamplight_workspace_bytes(const lamplight_workspace_options* options,
                                           uint64_t* bytes) {
  return Run([&]() -> Status {
    LAMPLIGHT_TRY(CheckNotNull(bytes, "bytes"));
    lamplight_workspace_options read{};
    LAMPLIGHT_TRY(lamplight::kernels::ReadOptions(options, &read));
    lamplight::kernels::Settings settings;
    LAMPLIGHT_TRY(lamplight::kernels::ReadSettings(read, &settings));
    *bytes = lamplight::kernels::PlanBuffer(settings.capacity).bytes;
    return {};
  });
}

lamplight_status lamplight_workspace_capacity(const lamplight_workspace* workspace, uint32_t hidden,
                                              uint32_t dtype, uint32_t algorithm,
                                              uint32_t* tokens) {
  return Run([&]() -> Status {
    LAMPLIGHT_TRY(CheckNotNull(workspace, "workspace"));
    LAMPLIGHT_TRY(CheckNotNull(tokens, "tokens"));
    DataType type{};
    LAMPLIGHT_TRY(lamplight::kernels::ReadDataType(dtype, "dtype", &type));
    LAMPLIGHT_TRY(lamplight::kernels::CheckHidden(hidden, type, "hidden"));
    return ReadMaxTokens(workspace->impl->capacity, hidden, type, algorithm, tokens);
  });
}

lamplight_status lamplight_choose(const lamplight_workspace* workspace, uint32_t tokens,
                                  uint32_t hidden, uint32_t dtype, uint32_t* algorithm) {
  return Run([&]() -> Status {
    LAMPLIGHT_TRY(CheckNotNull(workspace, "workspace"));
    LAMPLIGHT_TRY(CheckNotNull(algorithm, "algorithm"));
    Shape shape{tokens, hidden, {}};
    LAMPLIGHT_TRY(lamplight::kernels::ReadDataType(dtype, "dtype", &shape.data_type));
    LAMPLIGHT_TRY(lamplight::kernels::CheckHidden(hidden, shape.data_type, "hidden"));
    if (tokens == 0) return Error(LAMPLIGHT_ERROR_TOKENS, "tokens is 0: give at least 1");
    *algorithm = workspace->impl->capacity.Choose(shape) == Kernel::kOneShot
                     ? LAMPLIGHT_ALGORITHM_ONE_SHOT
                     : LAMPLIGHT_ALGORITHM_TWO_SHOT;
    return {};
  });
}

lamplight_status lamplight_all_reduce(lamplight_workspace* workspace, const lamplight_call* call,
                                      lamplight_stream stream) {
  return Run([&]() -> Status {
    LAMPLIGHT_TRY(CheckNotNull(workspace, "workspace"));
    lamplight::kernels::PlannedCall planned;
    LAMPLIGHT_TRY(lamplight::kernels::PlanCall(*workspace->impl, call, &planned));
    return lamplight::kernels::Launch(*workspace->impl, planned, stream);
  });
}

lamplight_status lamplight_scale_bytes(uint32_t tokens, uint32_t hidden, uint32_t quantisation,
                                       uint32_t scale_layout, uint64_t* bytes) {
  return Run([&]() -> Status {
    LAMPLIGHT_TRY(CheckNotNull(bytes, "bytes"));
    lamplight::kernels::Quantisation read{};
    LAMPLIGHT_TRY(lamplight::kernels::ReadQuantisation(quantisation, scale_layout, hidden, &read));
    *bytes = lamplight::kernels::ScaleBytes(
        tokens, hidden, read, static_cast<lamplight::kernels::ScaleLayout>(scale_layout));
    return {};
  });
}

lamplight_status lamplight_workspace_query(const lamplight_workspace* workspace,
                                           lamplight_trouble* trouble) {
  return Run([&]() -> Status {
    LAMPLIGHT_TRY(CheckNotNull(workspace, "workspace"));
    return lamplight::kernels::QueryTrouble(*workspace->impl, trouble);
  });
}

lamplight_status lamplight_workspace_forget(lamplight_workspace* workspace) {
  return Run([&]() -> Status {
    LAMPLIGHT_TRY(CheckNotNull(workspace, "workspace"));
    lamplight::kernels::ForgetTrouble(*workspace->impl);
    return {};
  });
}

size_t lamplight_trouble_text(const lamplight_trouble* trouble, char* buffer, size_t bytes) {
  if (trouble == nullptr) return lamplight::kernels::CopyText("no trouble", buffer, bytes);
  return lamplight::kernels::TroubleText(*trouble, buffer, bytes);
}

size_t lamplight_last_error(char* buffer, size_t bytes) {
  return lamplight::kernels::CopyLastError(buffer, bytes);
}

uint32_t lamplight_version(void) { return LAMPLIGHT_VERSION; }

}  // extern "C"
