// SPDX-License-Identifier: Apache-2.0
// memory.h over /proc/self/smaps, proc(5).
#include "common/memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <charconv>
#include <string_view>

#include "common/fd.h"

namespace keelson {

namespace {

struct Mapping {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool file_unwritten = false;  ///< of a file, not writable, and no page was ever copied (as RELRO's are)
};

uintptr_t hex(std::string_view text) {
  uintptr_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

void release(const Mapping& mapping) {
  if (mapping.file_unwritten) {
    ::madvise(reinterpret_cast<void*>(mapping.begin), mapping.end - mapping.begin, MADV_DONTNEED);
  }
}

}  // namespace

Result<> release_startup_memory() {
  ::malloc_trim(0);
  KEELSON_TRY(auto text, read_file("/proc/self/smaps"));
  std::string_view rest = text;
  Mapping mapping;
  while (!rest.empty()) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    auto dash = line.find('-');
    auto space = line.find(' ');
    if (line.starts_with("Anonymous:")) {
      mapping.file_unwritten = mapping.file_unwritten && line.find(" 0 kB") != line.npos;
    } else if (dash < space && line.find(':') > space) {  // 55d0-55d4 r-xp 00000000 fe:01 42  /usr/bin/x
      release(mapping);
      mapping = {hex(line.substr(0, dash)), hex(line.substr(dash + 1, space - dash - 1)),
                 line.at(space + 2) == '-' && line.at(space + 4) == 'p' && line.find(" /") != line.npos};
    }
  }
  release(mapping);
  return {};
}

}  // namespace keelson
