// SPDX-License-Identifier: Apache-2.0
#include "agent/node/node_api.h"

#include "kube/json_stream.h"

namespace keelson::agent {

namespace {

constexpr std::chrono::seconds kAnswer{60};

/// Until the answer's first bytes are there, or it has ended.
Task<> first_bytes(std::shared_ptr<kube::Answer> answer) {
  KEELSON_CO_DO(co_await answer->read());
  co_return Result<>();
}

}  // namespace

Task<> ClientApi::wait_for_change(std::string path, Duration limit) {
  kube::Request request;
  request.path = std::move(path);
  KEELSON_CO_TRY(auto opened, co_await client_.open(std::move(request), kAnswer));
  const std::shared_ptr<kube::Answer> answer = std::move(opened);
  const int status = answer->status();
  if (status < 200 || status >= 300) {
    KEELSON_CO_TRY(const auto body, co_await answer->read());
    co_return std::unexpected(kube::error_of(status, kube::decode_status(body)));
  }
  auto waited = co_await with_deadline<void>(client_.loop(), limit, first_bytes(answer));
  co_return !waited && waited.error().kind() == Kind::timeout ? Result<>() : waited;
}

}  // namespace keelson::agent
