// SPDX-License-Identifier: Apache-2.0
#include "metrics/symbols.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "common/fd.h"

namespace keelson::metrics {

namespace {

constexpr size_t kMostBytes = 512 << 20;

/// Where the program was put: the first that is told.
uintptr_t own_base() {
  uintptr_t base = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* found) {
        *static_cast<uintptr_t*>(found) = info->dlpi_addr;
        return 1;
      },
      &base);
  return base;
}

std::string readable(const char* name) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(::abi::__cxa_demangle(name, nullptr, nullptr, &status),
                                                         &std::free);
  return status == 0 ? text.get() : name;
}

/// `count` things of a file's bytes; none where they are not all in it.
template <class T>
std::span<const T> table(const std::string& file, uint64_t offset, uint64_t count) {
  if (offset > file.size() || count > (file.size() - offset) / sizeof(T) || offset % alignof(T) != 0) {
    return {};
  }
  return {reinterpret_cast<const T*>(file.data() + offset), count};
}

}  // namespace

Symbols::Symbols() {
  const auto file = read_file("/proc/self/exe", kMostBytes);
  const auto header = file ? table<Elf64_Ehdr>(*file, 0, 1) : std::span<const Elf64_Ehdr>();
  if (header.empty() || std::memcmp(header[0].e_ident, ELFMAG, SELFMAG) != 0 ||
      header[0].e_ident[EI_CLASS] != ELFCLASS64) {
    return;
  }
  const uintptr_t base = own_base();
  const auto sections = table<Elf64_Shdr>(*file, header[0].e_shoff, header[0].e_shnum);
  for (const auto& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) {
      continue;
    }
    const auto& strings = sections[section.sh_link];
    const auto names = table<char>(*file, strings.sh_offset, strings.sh_size);
    for (const auto& symbol : table<Elf64_Sym>(*file, section.sh_offset, section.sh_size / sizeof(Elf64_Sym))) {
      if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_value != 0 && symbol.st_name < names.size()) {
        const char* name = names.data() + symbol.st_name;
        functions_[base + symbol.st_value] = {.size = symbol.st_size,
                                              .name = {name, ::strnlen(name, names.size() - symbol.st_name)}};
      }
    }
  }
}

std::string Symbols::name_of(uintptr_t address) const {
  const uintptr_t inside = address - 1;  // it is where the call returns to: the call is before it
  if (auto found = functions_.upper_bound(inside); found != functions_.begin()) {
    --found;
    if (inside - found->first < found->second.size) {
      return readable(found->second.name.c_str());
    }
  }
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(inside), &info) == 0 || info.dli_fname == nullptr) {
    return fmt::format("{:#x}", address);
  }
  if (info.dli_sname != nullptr) {
    return readable(info.dli_sname);
  }
  const char* slash = std::strrchr(info.dli_fname, '/');
  return fmt::format("{}+{:#x}", slash != nullptr ? slash + 1 : info.dli_fname,
                     address - reinterpret_cast<uintptr_t>(info.dli_fbase));
}

}  // namespace keelson::metrics
