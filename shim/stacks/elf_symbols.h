// The symbol table of a file on disk: names that the dynamic loader does not know.
//
// An object belongs to one thread. Every byte of the file is taken for hostile.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lamplight::stacks {

// Invariant: all tables lie inside the mapping. Empty where the file has no symbol table.
class ElfSymbols {
 public:
  explicit ElfSymbols(const std::string& path) noexcept;
  ~ElfSymbols();
  ElfSymbols(const ElfSymbols&) = delete;
  ElfSymbols& operator=(const ElfSymbols&) = delete;

  // Offset of a function from the load address; 0: not there.
  uint64_t Find(std::string_view name) const noexcept;
  // The function around `offset`; empty: none.
  std::string_view NameAt(uint64_t offset, uint64_t* symbol_offset) const noexcept;

 private:
  void Map(const std::string& path);
  void FindTables();
  bool Inside(uint64_t offset, uint64_t bytes) const {
    return offset <= bytes_ && bytes <= bytes_ - offset;
  }
  std::string_view NameOf(const Elf64_Sym& symbol) const;

  const std::byte* file_ = nullptr;
  size_t bytes_ = 0;
  const Elf64_Sym* symbols_ = nullptr;
  size_t count_ = 0;
  const char* names_ = nullptr;
  size_t names_bytes_ = 0;
};

}  // namespace lamplight::stacks
