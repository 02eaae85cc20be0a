// SPDX-License-Identifier: Apache-2.0
#include "http/listening.h"

#include "common/log.h"

namespace keelson::http {
namespace {

constexpr auto kRetry = std::chrono::seconds(5);

}  // namespace

Result<> listen(Server& server, const BindAddress& where) {
  const bool every = where.host == "0.0.0.0" || where.host == "::";
  auto port = server.listen_tcp(every ? "::" : where.host, where.port);
  if (every && !port && port.error().kind() != Kind::exists) {
    port = server.listen_tcp("0.0.0.0", where.port);
  }
  if (!port) {
    return std::unexpected(port.error());
  }
  return {};
}

Task<> serve(std::shared_ptr<Server> server) {
  co_return co_await server->run();
}

Task<> serve(Loop& loop, std::shared_ptr<Server> server, BindAddress where) {
  bool told = false;
  for (;;) {
    auto listening = listen(*server, where);
    if (listening) {
      break;
    }
    if (!told) {
      log::error("{}; trying again each 5 s", listening.error().message());
      told = true;
    }
    KEELSON_CO_DO(co_await loop.sleep(kRetry));
  }
  if (told) {
    log::info("listening on {}", where.to_string());
  }
  co_return co_await serve(std::move(server));
}

}  // namespace keelson::http
