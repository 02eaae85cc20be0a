// SPDX-License-Identifier: Apache-2.0
// One run of an OCI runtime's program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"
#include "cri/shim/protocol.h"

namespace keelson::cri::shim::oci {

/// The standard streams of a command: ours, which a container that it makes inherits; or none, and what it writes to
/// standard error is kept for the error.
enum class Streams : uint8_t { inherited, none };

/// RUNTIME --root ... --log ... ARGS. Blocks until it ends or its deadline passes (Kind::timeout: it has been killed).
/// Any exit but 0 is Kind::internal with what the runtime says of it: the last error of its
/// log, or else its standard error. It dies with the caller.
Result<> run_command(const OciRuntime& runtime, const std::vector<std::string>& args, Streams streams);

/// The last error in a log of JSON lines ({"level":"error","msg":...}), or its last line if it is none; empty if there
/// is nothing.
std::string last_error(const std::string& log);

}  // namespace keelson::cri::shim::oci
