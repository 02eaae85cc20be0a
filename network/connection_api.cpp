// SPDX-License-Identifier: Apache-2.0
#include "network/connection_api.h"

#include <charconv>

#include <boost/json/serialize.hpp>

#include "network/connection_report.h"

namespace keelson::network {
namespace {

namespace json = boost::json;

constexpr size_t kPiece = 64 * 1024;
constexpr size_t kTop = 10;

std::string_view service_of(const Router& router, uint32_t row) {
  const auto* key = router.tables().service_of_row(row);
  return key ? std::string_view(key->name) : std::string_view();
}

/// Lets everything else on the loop have its turn.
Task<> give_way() {
  co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  co_return Result<>();
}

Task<> list(const Router* router, ConnectionFilter filter, http::Sink sink) {
  KEELSON_CO_TRY(auto table, ebpf::ConnectionTable::open(router->programs()));
  ebpf::ConnectionTable::Position position;
  std::string piece = R"({"items":[)";
  bool more = true, first = true;
  while (more) {
    std::vector<ebpf::Connection> rows;
    KEELSON_CO_TRY(more, table.read(position, rows));
    for (const auto& row : rows) {
      auto name = service_of(*router, row.service);
      if (row.reply || !filter.takes(row, name)) {
        continue;
      }
      piece += first ? "" : ",";
      first = false;
      piece += json::serialize(connection_json(row, name));
    }
    if (piece.size() >= kPiece) {
      KEELSON_CO_DO(co_await sink(std::exchange(piece, "")));
    } else {
      KEELSON_CO_DO(co_await give_way());
    }
  }
  co_return co_await sink(piece + "]}");
}

Task<http::Response> top(const Router* router, size_t count) {
  KEELSON_CO_TRY(auto table, ebpf::ConnectionTable::open(router->programs()));
  ebpf::ConnectionTable::Position position;
  ConnectionTop holders;
  for (bool more = true; more;) {
    std::vector<ebpf::Connection> rows;
    KEELSON_CO_TRY(more, table.read(position, rows));
    for (const auto& row : rows) {
      holders.add(row, service_of(*router, row.service));
    }
    KEELSON_CO_DO(co_await give_way());
  }
  co_return http::Response{.body = json::serialize(holders.take(count, table.rows())), .headers = {}, .stream = {}};
}

Task<http::Response> flush(const Router* router, ConnectionFilter filter) {
  KEELSON_CO_TRY(auto table, ebpf::ConnectionTable::open(router->programs()));
  ebpf::ConnectionTable::Position position;
  uint64_t connections = 0, forgotten = 0;
  auto generation = router->programs().generation();
  for (bool more = true; more;) {
    // Larger tables have taken the place of these: what is still to be forgotten is there.
    if (auto now = router->programs().generation(); now != generation) {
      generation = now;
      KEELSON_CO_TRY(table, ebpf::ConnectionTable::open(router->programs()));
      position = {};
    }
    std::vector<ebpf::Connection> rows;
    KEELSON_CO_TRY(more, table.read(position, rows));
    std::erase_if(rows, [&](const auto& row) { return !filter.takes(row, service_of(*router, row.service)); });
    // Whichever of its two rows comes first takes the other one along.
    for (const auto& row : rows) {
      KEELSON_CO_TRY(auto gone, table.forget({&row, 1}));
      connections += gone ? 1 : 0;
      forgotten += gone;
    }
    KEELSON_CO_DO(co_await give_way());
  }
  json::object result{{"connections", connections}, {"rows", forgotten}};
  co_return http::Response{.body = json::serialize(result), .headers = {}, .stream = {}};
}

Result<size_t> count_of(const http::Target& target) {
  auto text = target.text("count");
  size_t count = kTop;
  if (text.empty()) {
    return count;
  }
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count == 0) {
    return fail(Kind::invalid, "count={}: a number from 1 on", text);
  }
  return count;
}

}  // namespace

Task<http::Response> answer_connections(const Router* router, http::Request request) {
  const auto& path = request.target.path;
  std::string what = path.size() > 1 ? path[1] : "";
  KEELSON_CO_TRY(auto filter, ConnectionFilter::parse(request.target));
  if (what.empty() && request.method == "GET") {
    co_return http::Response{.body = {}, .headers = {}, .stream = [router, filter](http::Sink sink) {
                               return list(router, filter, std::move(sink));
                             }};
  }
  if (what == "top" && request.method == "GET") {
    KEELSON_CO_TRY(auto count, count_of(request.target));
    co_return co_await top(router, count);
  }
  if (what == "flush" && request.method == "POST") {
    if (filter.empty() && !request.target.flag("all")) {
      co_return fail(Kind::invalid, "no filter: that would forget every connection; all=true if it is meant");
    }
    co_return co_await flush(router, filter);
  }
  co_return fail(Kind::not_found, "GET /connections, GET /connections/top or POST /connections/flush");
}

}  // namespace keelson::network
