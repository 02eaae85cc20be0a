// SPDX-License-Identifier: Apache-2.0
// Files that are replaced whole, or not at all.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/result.h"

namespace keelson {

/// Whether the new content must survive a power cut before the call returns.
enum class Durability {
  process,  ///< survives kill -9 of us (rename alone)
  power,    ///< fsync of file and folder too
};

/// Writes `data` to a temporary file beside `path` and renames it over `path`: readers see the old or the new content.
/// The error names the path; the old file then stays.
Result<> write_file_atomic(const std::string& path, std::string_view data, mode_t mode = 0644,
                           Durability durability = Durability::process);

/// Removes the temporary files that processes which were killed in write_file_atomic() have left in `folder`; those of
/// living processes stay. For whoever owns a folder of such files, at its start. An absent folder has none.
void remove_unfinished(const std::string& folder);

}  // namespace keelson
