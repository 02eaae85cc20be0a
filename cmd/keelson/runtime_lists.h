// SPDX-License-Identifier: Apache-2.0
// What the CLI asks the runtime itself, over CRI: any CRI v1 runtime will do.
#pragma once

#include <string>

#include "common/result.h"

namespace keelson::cli {

/// Prints the containers of the runtime on `socket` as a table, JSON or YAML. The value is the exit code.
Result<int> print_containers(const std::string& socket, const std::string& output, bool headers);
/// The same for its images.
Result<int> print_images(const std::string& socket, const std::string& output, bool headers);
/// Loads an OCI layout (folder or tar) or docker archive into Keelson's runtime and prints the names it now has.
Result<int> load_image(const std::string& socket, const std::string& path);

}  // namespace keelson::cli
