// SPDX-License-Identifier: Apache-2.0
// What goes wrong between a node and its API servers, and how often.
#pragma once

#include "common/clock.h"

namespace keelson::simulation {

/// Chances out of 1000, each taken by the simulation's seed. All zero: nothing goes wrong.
struct Faults {
  // Of each request.
  int lost = 0;         ///< The connection breaks before it is served, with all that is on it.
  int answer_lost = 0;  ///< ... after it has been served.
  int hangs = 0;        ///< It is served, and never answered.
  int busy = 0;         ///< 429, with Retry-After: 0..2, or without.
  int broken = 0;       ///< 500.
  int unavailable = 0;  ///< 503, with or without Retry-After.
  int forbidden = 0;    ///< 403: the authorizer has not heard of the pod yet.
  int contended = 0;    ///< 409: a patch that lost against others too often.
  int gone = 0;         ///< A watch: 410, as an answer or as an event; a page of a list: 410.
  // Of each event of a watch.
  int cut = 0;        ///< The stream ends in the middle of it.
  int late = 0;       ///< It, and all behind it, comes some seconds later.
  int duplicate = 0;  ///< It comes twice.
  int swap = 0;       ///< It comes in one piece with the one before it, ahead of it, if that is of another object.

  Duration lag{0};             ///< The most by which a server's cache is behind.
  Duration latency{0};         ///< The most that a request takes either way.
  bool token_expired = false;  ///< 401 to every request.
  bool no_services = false;    ///< 403 to every request for services.
};

}  // namespace keelson::simulation
