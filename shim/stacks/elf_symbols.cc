// Reads .symtab through a private mapping; see the header for threads.
#include "shim/stacks/elf_symbols.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

namespace lamplight::stacks {

ElfSymbols::ElfSymbols(const std::string& path) noexcept {
  Map(path);
  if (file_ != nullptr) FindTables();
}

ElfSymbols::~ElfSymbols() {
  if (file_ != nullptr) munmap(const_cast<std::byte*>(file_), bytes_);
}

void ElfSymbols::Map(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  struct stat status {};
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
      static_cast<size_t>(status.st_size) > sizeof(Elf64_Ehdr)) {
    bytes_ = static_cast<size_t>(status.st_size);
    void* mapping = mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping != MAP_FAILED) file_ = static_cast<const std::byte*>(mapping);
  }
  close(fd);
}

void ElfSymbols::FindTables() {
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(file_);
  if (std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_shentsize != sizeof(Elf64_Shdr) ||
      header->e_shoff % alignof(Elf64_Shdr) != 0 ||
      !Inside(header->e_shoff, uint64_t{header->e_shnum} * sizeof(Elf64_Shdr))) {
    return;
  }
  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(file_ + header->e_shoff);
  for (size_t i = 0; i < header->e_shnum; ++i) {
    const Elf64_Shdr& table = sections[i];
    if (table.sh_type != SHT_SYMTAB || table.sh_link >= header->e_shnum) continue;
    const Elf64_Shdr& names = sections[table.sh_link];
    if (!Inside(table.sh_offset, table.sh_size) || !Inside(names.sh_offset, names.sh_size) ||
        table.sh_offset % alignof(Elf64_Sym) != 0) {
      continue;
    }
    symbols_ = reinterpret_cast<const Elf64_Sym*>(file_ + table.sh_offset);
    count_ = table.sh_size / sizeof(Elf64_Sym);
    names_ = reinterpret_cast<const char*>(file_ + names.sh_offset);
    names_bytes_ = names.sh_size;
    return;
  }
}

std::string_view ElfSymbols::NameOf(const Elf64_Sym& symbol) const {
  if (symbol.st_name >= names_bytes_) return {};
  const char* name = names_ + symbol.st_name;
  return {name, strnlen(name, names_bytes_ - symbol.st_name)};
}

uint64_t ElfSymbols::Find(std::string_view name) const noexcept {
  for (size_t i = 0; i < count_; ++i) {
    const Elf64_Sym& symbol = symbols_[i];
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
    if (NameOf(symbol) == name) return symbol.st_value;
  }
  return 0;
}

std::string_view ElfSymbols::NameAt(uint64_t offset, uint64_t* symbol_offset) const noexcept {
  for (size_t i = 0; i < count_; ++i) {
    const Elf64_Sym& symbol = symbols_[i];
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
    if (offset < symbol.st_value || offset - symbol.st_value >= symbol.st_size) continue;
    *symbol_offset = offset - symbol.st_value;
    return NameOf(symbol);
  }
  return {};
}

}  // namespace lamplight::stacks
