#include "shim/swap/kernel_images.h"

#ifdef LAMPLIGHT_BF16_FATBIN

// NOLINTBEGIN(bugprone-macro-parentheses): a declaration
// Embedded by the assembler (LAMPLIGHT_*_FATBIN: set by CMake).
#define LAMPLIGHT_EMBED(name, file) \
  asm(".section .rodata\n"          \
      ".balign 16\n"                \
      ".local " #name "\n" #name    \
      ":\n"                         \
      ".incbin \"" file             \
      "\"\n"                        \
      ".byte 0\n"                   \
      ".previous\n");               \
  extern "C" __attribute__((visibility("hidden"))) const unsigned char name[]

LAMPLIGHT_EMBED(lamplight_fp16_image, LAMPLIGHT_FP16_FATBIN);
LAMPLIGHT_EMBED(lamplight_bf16_image, LAMPLIGHT_BF16_FATBIN);
LAMPLIGHT_EMBED(lamplight_fp32_image, LAMPLIGHT_FP32_FATBIN);
// NOLINTEND(bugprone-macro-parentheses)

namespace lamplight::shim {

const void* KernelImage(kernels::DataType type) {
  switch (type) {
    case kernels::DataType::kFp16:
      return lamplight_fp16_image;
    case kernels::DataType::kBf16:
      return lamplight_bf16_image;
    case kernels::DataType::kFp32:
      break;
  }
  return lamplight_fp32_image;
}

}  // namespace lamplight::shim

#else  // built with a toolkit that is too old for the kernels

namespace lamplight::shim {

const void* KernelImage(kernels::DataType) { return nullptr; }

}  // namespace lamplight::shim

#endif
