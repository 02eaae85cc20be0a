// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/connection_table.h"

#include <algorithm>
#include <chrono>

#include "cmd/keelson/output.h"
#include "common/clock.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

using Row = std::vector<std::string>;

std::string seconds_at(const json::value& value, std::string_view name) {
  return human_duration(std::chrono::seconds(number_at(value, {name})));
}

}  // namespace

std::vector<Row> connection_table(const json::value& list, bool wide, bool headers) {
  std::vector<Row> rows;
  for (const auto& one : list_at(list, {"items"})) {
    Row row{text_at(one, {"protocol"}),
            text_at(one, {"client"}),
            text_at(one, {"frontend"}),
            text_at(one, {"backend"}),
            text_at(one, {"state"}),
            seconds_at(one, "idleSeconds"),
            text_at(one, {"service"}).empty() ? "<none>" : text_at(one, {"service"})};
    if (wide) {
      const auto* masqueraded = find(one, {"masqueraded"}).if_bool();
      row.push_back(text_at(one, {"source"}));
      row.push_back(masqueraded != nullptr && *masqueraded ? "yes" : "no");
      row.push_back(seconds_at(one, "secondsLeft"));
    }
    rows.push_back(std::move(row));
  }
  std::ranges::sort(rows, {}, [](const Row& row) { return std::tie(row[1], row[0], row[2]); });
  if (headers) {
    Row header{"PROTO", "CLIENT", "FRONTEND", "BACKEND", "STATE", "IDLE", "SERVICE"};
    if (wide) {
      header.insert(header.end(), {"SOURCE", "MASQUERADED", "LEFT"});
    }
    rows.insert(rows.begin(), std::move(header));
  }
  return rows;
}

std::vector<Row> holder_table(const json::value& top, const std::string& which, bool headers) {
  std::vector<Row> rows;
  if (headers) {
    rows.push_back({which == "clients" ? "CLIENT" : "SERVICE", "ROWS", "MASQUERADE-PORTS"});
  }
  for (const auto& holder : list_at(top, {which})) {
    auto name = text_at(holder, {"name"});
    rows.push_back({name.empty() ? "<none>" : name, std::to_string(number_at(holder, {"rows"})),
                    std::to_string(number_at(holder, {"masqueradePorts"}))});
  }
  return rows;
}

}  // namespace keelson::cli
