// SPDX-License-Identifier: Apache-2.0
// One streaming connection: the HTTP request, its ticket, the upgrade, the session.
#pragma once

#include "common/loop.h"
#include "common/task_group.h"
#include "cri/streaming/tokens.h"
#include "http/stream.h"
#include "http/waiting.h"

namespace keelson::cri {

/// What the connections of one server share.
struct SessionRoom {
  Loop& loop;
  Tokens& tokens;
  TaskGroup& tasks;  // owns what a session spawns, and is closed before the rest goes
  StreamingTimes times;
  keelson::http::Waiting& waiting;  // those that have not said yet what they want
};

/// Serves one accepted connection to its end. Errors of the connection are the client's.
Task<> serve_connection(SessionRoom room, keelson::http::Stream socket);

}  // namespace keelson::cri
