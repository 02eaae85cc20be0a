// SPDX-License-Identifier: Apache-2.0
// The part of the admin API that says what would happen to a new flow (dataplane/explain.h), and what is known of such
// flows already.
//
//   GET /why?from=&to=&port=&protocol=   from: an address, with a port or without, "pod", "node" or "outside"
#pragma once

#include "common/loop.h"
#include "http/server.h"
#include "network/router.h"

namespace keelson::network {

Task<http::Response> answer_why(const Router* router, http::Request request);

}  // namespace keelson::network
