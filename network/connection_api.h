// SPDX-License-Identifier: Apache-2.0
// The part of the admin API that is about connections. The table is read piece by piece: routing goes on in between.
//
//   GET  /connections?service=&client=&protocol=        {"items": [...]}, a connection each (connection_report.h)
//   GET  /connections/top?count=                        who holds most rows and masquerade ports
//   POST /connections/flush?service=&client=&protocol=  forgets them, {"connections": 2, "rows": 4}; without a filter
//                                                       only with ?all=true
#pragma once

#include "common/loop.h"
#include "http/server.h"
#include "network/router.h"

namespace keelson::network {

Task<http::Response> answer_connections(const Router* router, http::Request request);

}  // namespace keelson::network
