// SPDX-License-Identifier: Apache-2.0
// What a request about a pod says by its path and its query (pod_endpoints.h). Pure. Errors name the parameter.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/container_log.h"
#include "common/clock.h"
#include "cri/client/client.h"
#include "http/target.h"

namespace keelson::agent {

/// "/exec/NS/POD/UID/CONTAINER" taken apart; the uid may be left out, and a pod's port has no container.
struct PodAddress {
  std::string ns, pod, uid, container;
};
Result<PodAddress> pod_address(const std::vector<std::string>& path);

/// core/v1 PodLogOptions.
Result<LogOptions> log_options(const http::Target& target, WallTime now);

/// By the kubelet's names, and the API's own. `all_output`: whatever is asked for of it.
cri::RuntimeClient::StreamRequest streams_of(const http::Target& target, bool all_output);

/// ?port=..&port=..
Result<std::vector<uint16_t>> ports_of(const http::Target& target);

/// Between blanks.
std::vector<std::string> words_of(const std::string& text);

}  // namespace keelson::agent
