// SPDX-License-Identifier: Apache-2.0
// Names for addresses of this process's code.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace keelson::metrics {

/// By the symbol table of the program's file, if that was not stripped, and by what libraries export; C++ names are
/// readable. A value: as the process was when it was made.
class Symbols {
 public:
  /// Reads the file /proc/self/exe; blocks on it.
  Symbols();

  /// Of a return address. Where nothing has a name: "keelson+0x1234", for addr2line.
  std::string name_of(uintptr_t address) const;

 private:
  struct Function {
    uint64_t size = 0;
    std::string name;
  };
  std::map<uintptr_t, Function> functions_;  // of the program itself, by where they are now
};

}  // namespace keelson::metrics
