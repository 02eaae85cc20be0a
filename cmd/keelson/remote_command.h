// SPDX-License-Identifier: Apache-2.0
// The client of a CRI streaming URL: a command's standard streams over a WebSocket (v5.channel.k8s.io, KEP-4006).
#pragma once

#include <string>

#include "common/result.h"

namespace keelson::cli {

struct RemoteStreams {
  bool input = false;  ///< pass our standard input
  bool tty = false;    ///< raw terminal, window size passed on
};

/// Connects to the one-time `url` (http://ADDRESS:PORT/... or https://), copies the streams until the command ends, and
/// gives its exit code. Our terminal is put back as it was in every case.
Result<int> run_remote(const std::string& url, RemoteStreams streams);

}  // namespace keelson::cli
