// SPDX-License-Identifier: Apache-2.0
// One request about one object: get, create, update, patch, delete; and what the API server's refusals mean.
//
//   co_await call(client, {.method = "POST", .path = "/api/v1/nodes", .body = encode_json(node)}, deadline);
//   co_await call(client, patch_request(path, PatchType::strategic, body), deadline);
#pragma once

#include <string>

#include "common/loop.h"
#include "kube/client/client.h"
#include "kube/status.h"

namespace keelson::kube {

/// How a patch's body is meant (KEP: api-conventions, "PATCH operations").
enum class PatchType {
  json,       ///< RFC 6902: a list of operations.
  merge,      ///< RFC 7386: null removes, lists are replaced.
  strategic,  ///< As merge, but lists with a merge key are merged by it; built-in kinds only.
};
Request patch_request(std::string path, PatchType type, std::string body);

/// An answer that is no success, as an error whose code() is the status: 401, 403 permission; 404 not_found; 409 exists
/// (reason AlreadyExists) or conflict; 410 conflict; 429 and 5xx unavailable; other 4xx invalid. `status` may be empty.
Error error_of(int http_status, const Status& status);

/// The body of a 2xx answer. Other answers are error_of(); no answer: the client's errors. 429, and 5xx with a
/// Retry-After, are asked again after that wait, within `deadline` (as client-go does).
Task<std::string> call(Client& client, Request request, Duration deadline);

}  // namespace keelson::kube
