// SPDX-License-Identifier: Apache-2.0
#include "kube/client/api.h"

#include <fmt/format.h>

#include "kube/json_stream.h"

namespace keelson::kube {

namespace {

constexpr std::chrono::seconds kBusyWait{1};  // client-go's, where 429 names no time

Kind kind_of(int status, const std::string& reason) {
  if (status == 409) {
    return reason == "AlreadyExists" ? Kind::exists : Kind::conflict;
  }
  return status == 401 || status == 403                   ? Kind::permission
         : status == 404                                  ? Kind::not_found
         : status == 410                                  ? Kind::conflict
         : status >= 400 && status < 500 && status != 429 ? Kind::invalid
                                                          : Kind::unavailable;
}

/// A time of 0 is no leave to turn round at once.
std::optional<Duration> wait_before_retry(const Response& response) {
  if (response.status != 429 && (response.status < 500 || !response.retry_after)) {
    return std::nullopt;
  }
  return std::max<Duration>(response.retry_after.value_or(kBusyWait), kBusyWait);
}

}  // namespace

Request patch_request(std::string path, PatchType type, std::string body) {
  return {.method = "PATCH",
          .path = std::move(path),
          .body = std::move(body),
          .content_type = type == PatchType::json    ? "application/json-patch+json"
                          : type == PatchType::merge ? "application/merge-patch+json"
                                                     : "application/strategic-merge-patch+json"};
}

Error error_of(int http_status, const Status& status) {
  const int code = status.code != 0 ? status.code : http_status;
  auto text = fmt::format("{}: {}", code,
                          !status.message.empty()  ? status.message
                          : !status.reason.empty() ? status.reason
                                                   : "no message");
  if (code == 401) {
    text += "; the credential of the kubeconfig's user is not, or no longer, valid";
  }
  return {kind_of(code, status.reason), std::move(text), code};
}

Task<std::string> call(Client& client, Request request, Duration deadline) {
  Loop& loop = client.loop();
  const SteadyTime end = loop.clock().steady() + deadline;
  while (true) {
    const Duration left = std::max<Duration>(end - loop.clock().steady(), Duration(0));
    KEELSON_CO_TRY(auto response, co_await client.request(request, left));
    if (response.status >= 200 && response.status < 300) {
      co_return std::move(response.body);
    }
    const auto wait = wait_before_retry(response);
    if (!wait || loop.clock().steady() + *wait >= end) {
      co_return std::unexpected(error_of(response.status, decode_status(response.body)));
    }
    KEELSON_CO_DO(co_await loop.sleep(*wait));
  }
}

}  // namespace keelson::kube
