// SPDX-License-Identifier: Apache-2.0
// layout-next PIN_FOLDER: loads programs and maps with rows of another form, taking over what is pinned there, and
// ends.
#include <cstdio>

#include "ebpf/programs.h"

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("usage: layout-next PIN_FOLDER\n", stderr);
    return 2;
  }
  auto programs = keelson::ebpf::Programs::load({.pin_folder = arguments[1], .sizes = {}});
  if (!programs) {
    std::fprintf(stderr, "%s\n", programs.error().message().c_str());
    return 1;
  }
  auto tables = keelson::ebpf::Tables::open(programs->table_maps());
  return tables ? 0 : 1;
}
