// SPDX-License-Identifier: Apache-2.0
// Checkpoints of containers (KEP-2008): POST /checkpoint/NS/POD/CONTAINER[?timeout=SECONDS]. The runtime makes them, or
// says why not.
#pragma once

#include <string>

#include "agent/agent.h"
#include "common/loop.h"
#include "cri/client/client.h"
#include "http/server.h"

namespace keelson::agent {

/// Who is asked, and where; outlives each answer.
struct CheckpointParts {
  Loop& loop;  ///< The serving one.
  Loop& agents_loop;
  Agent& agent;
  cri::RuntimeClient& runtime;
  std::string folder;  ///< The archives': made with the first, for root alone.
};

/// {"items":["FOLDER/checkpoint-POD_NS-CONTAINER-TIME.tar"]}; 404, 405, or the runtime's error as 500.
Task<http::Response> checkpoint(CheckpointParts parts, http::Request request);

}  // namespace keelson::agent
