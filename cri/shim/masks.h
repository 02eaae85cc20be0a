// SPDX-License-Identifier: Apache-2.0
// Paths of a container that it must not read, or not write. For use after pivot_root.
#pragma once

#include "common/fd.h"

namespace keelson::cri::shim {

/// Hides `path`: an empty read-only folder on a folder, the container's own /dev/null on anything else. A path that is
/// not there is success. Kind::invalid if /dev/null is something else (CVE-2025-31133).
Result<> mask(const std::string& path);

/// Makes `path` and all mounts below it read-only. A path that is not there is success.
Result<> make_read_only(const std::string& path);

}  // namespace keelson::cri::shim
