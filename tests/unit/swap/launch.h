// A launch of one of the field's kernels: its name and parameters as the driver would tell them.
//
// For one test at a time.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "shim/lamport/recognition.h"
#include "tests/unit/lamport/field_kernels.h"

namespace lamplight::shim {

inline const lamport::AbiTable& BuiltInTable() {
  static const std::unique_ptr<lamport::AbiTable> table = lamport::AbiTable::Load("", nullptr);
  return *table;
}

// The same in a process that has armed TensorRT-LLM's unicast workspaces: by the kernel that takes
// 32-bit sizes ("EPfi"), or 64-bit ones ("EPfm").
inline std::unique_ptr<lamport::AbiTable> ArmedTable(const std::string& arguments) {
  std::unique_ptr<lamport::AbiTable> table = lamport::AbiTable::Load("", nullptr);
  table->Saw("_ZN12tensorrt_llm3_v17kernels9ar_fusion25lamport_initialize_kernel" + arguments);
  return table;
}

class FieldLaunch {
 public:
  // What is recognised points into `table`.
  FieldLaunch(std::string_view release, std::string_view part,
              const lamport::AbiTable& table = BuiltInTable())
      : kernel_(lamport::FindKernel(release, part)),
        recognition_(table.Recognise(kernel_.symbol, kernel_.parameters)),
        bytes_(4096, std::byte{0}) {
    EXPECT_TRUE(recognition_.decoded) << release << " " << part << " " << recognition_.reason;
  }

  // At a byte of parameter `parameter`.
  template <class T>
  FieldLaunch& Set(size_t parameter, T value, size_t offset = 0) {
    std::memcpy(bytes_.data() + kernel_.parameters.at(parameter).offset + offset, &value,
                sizeof value);
    return *this;
  }

  const lamport::Recognition& recognition() const { return recognition_; }
  std::string symbol() const { return std::string(kernel_.symbol); }
  // Valid until the next call or copy.
  void* const* parameters() const {
    pointers_.clear();
    for (const lamport::ParameterSpan& span : kernel_.parameters) {
      pointers_.push_back(bytes_.data() + span.offset);
    }
    return pointers_.data();
  }

 private:
  const lamport::FieldKernel& kernel_;
  lamport::Recognition recognition_;
  mutable std::vector<std::byte> bytes_;
  mutable std::vector<void*> pointers_;
};

}  // namespace lamplight::shim
