// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/service_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "cmd/keelson/output.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

using Row = std::vector<std::string>;

constexpr std::string_view kNone = "<none>";
constexpr size_t kShownEndpoints = 3;
constexpr size_t kShownBalancer = 16;

std::vector<std::string> texts(const json::array& array) {
  std::vector<std::string> result;
  for (const auto& one : array) {
    if (const auto* text = one.if_string()) {
      result.emplace_back(*text);
    }
  }
  return result;
}

std::string joined(const std::vector<std::string>& all, std::string_view otherwise) {
  return all.empty() ? std::string(otherwise) : fmt::format("{}", fmt::join(all, ","));
}

bool flag_at(const json::value& value, std::initializer_list<std::string_view> path) {
  const auto* flag = find(value, path).if_bool();
  return flag != nullptr && *flag;
}

std::string external_ip(const json::value& service, bool wide) {
  auto type = text_at(service, {"spec", "type"}, "ClusterIP");
  auto external = texts(list_at(service, {"spec", "externalIPs"}));
  if (type == "ExternalName") {
    return text_at(service, {"spec", "externalName"}, kNone);
  }
  if (type != "LoadBalancer") {
    return joined(external, kNone);
  }
  std::set<std::string> balancer;
  for (const auto& ingress : list_at(service, {"status", "loadBalancer", "ingress"})) {
    balancer.insert(text_at(ingress, {"ip"}, text_at(ingress, {"hostname"})));
  }
  balancer.erase("");
  auto text = fmt::format("{}", fmt::join(balancer, ","));
  if (!wide && text.size() > kShownBalancer) {
    text = text.substr(0, kShownBalancer - 3) + "...";
  }
  if (text.empty()) {
    return joined(external, "<pending>");
  }
  return external.empty() ? text : text + "," + joined(external, "");
}

std::string ports(const json::value& service) {
  std::vector<std::string> all;
  for (const auto& port : list_at(service, {"spec", "ports"})) {
    auto node_port = number_at(port, {"nodePort"});
    all.push_back(fmt::format("{}{}/{}", number_at(port, {"port"}), node_port ? fmt::format(":{}", node_port) : "",
                              text_at(port, {"protocol"}, "TCP")));
  }
  return joined(all, kNone);
}

std::string programmed(const json::value& service) {
  const auto& routes = list_at(service, {"routing", "routes"});
  if (routes.empty()) {
    return "-";
  }
  std::vector<std::string> lacking;
  for (const auto& route : routes) {
    if (!flag_at(route, {"programmed"})) {
      auto port = text_at(route, {"port"});
      lacking.push_back(port.empty() ? text_at(route, {"family"}) : port + "/" + text_at(route, {"family"}));
    }
  }
  auto share = fmt::format("{}/{}", routes.size() - lacking.size(), routes.size());
  return lacking.empty() ? share : share + " (not " + joined(lacking, "") + ")";
}

std::string new_flows(const json::value& service) {
  int64_t sum = 0;
  for (const auto& route : list_at(service, {"routing", "routes"})) {
    sum += number_at(route, {"newFlows"});
  }
  return std::to_string(sum);
}

std::string affinity(const json::value& service) {
  auto kind = text_at(service, {"spec", "sessionAffinity"}, "None");
  auto seconds = number_at(service, {"spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"});
  return kind == "ClientIP" ? fmt::format("ClientIP({}s)", seconds) : kind;
}

/// Of an address of a subset.
std::string state(const json::value& address) {
  const auto& is = find(address, {"conditions"});
  if (flag_at(is, {"ready"})) {
    return "Ready";
  }
  if (flag_at(is, {"terminating"})) {
    return flag_at(is, {"serving"}) ? "Terminating" : "Stopped";
  }
  return "NotReady";
}

std::string host_port(const std::string& host, int64_t port) {
  return host.find(':') == host.npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

/// "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more..."
std::string endpoints(const json::value& object) {
  std::vector<std::string> shown;
  size_t count = 0;
  for (const auto& subset : list_at(object, {"subsets"})) {
    for (const auto& port : list_at(subset, {"ports"})) {
      for (const auto& address : list_at(subset, {"addresses"})) {
        if (++count <= kShownEndpoints) {
          shown.push_back(host_port(text_at(address, {"ip"}), number_at(port, {"port"})));
        }
      }
    }
  }
  auto text = joined(shown, kNone);
  return count > kShownEndpoints ? fmt::format("{} + {} more...", text, count - kShownEndpoints) : text;
}

class Table {
 public:
  explicit Table(ServiceTableOptions options) : options_(options) {}
  void header(Row row) {
    if (options_.headers) {
      add(std::move(row));
    }
  }
  /// NAMESPACE and NAME come first.
  void add(Row row) {
    if (!options_.namespaces) {
      row.erase(row.begin());
    }
    rows_.push_back(std::move(row));
  }
  std::vector<Row> take() { return std::move(rows_); }

 private:
  ServiceTableOptions options_;
  std::vector<Row> rows_;
};

void add_each_endpoint(Table& table, const json::value& object) {
  for (const auto& subset : list_at(object, {"subsets"})) {
    for (std::string_view which : {"addresses", "notReadyAddresses"}) {
      for (const auto& address : list_at(subset, {which})) {
        for (const auto& port : list_at(subset, {"ports"})) {
          auto pod = text_at(address, {"targetRef", "name"}, kNone);
          table.add({text_at(object, {"metadata", "namespace"}), text_at(object, {"metadata", "name"}),
                     host_port(text_at(address, {"ip"}), number_at(port, {"port"})),
                     text_at(port, {"name"}, kNone) + "/" + text_at(port, {"protocol"}, "TCP"), state(address),
                     text_at(address, {"nodeName"}, kNone), text_at(address, {"zone"}, kNone),
                     flag_at(address, {"local"}) ? "yes" : "no", pod});
        }
      }
    }
  }
}

}  // namespace

std::vector<Row> service_table(const json::value& list, ServiceTableOptions options) {
  Table table(options);
  Row header{"NAMESPACE", "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"};
  if (options.wide) {
    header.insert(header.end(), {"PROGRAMMED", "ENDPOINTS", "NEW-FLOWS", "POLICY", "AFFINITY"});
  }
  table.header(std::move(header));
  for (const auto& service : list_at(list, {"items"})) {
    auto addresses = texts(list_at(service, {"spec", "clusterIPs"}));
    Row row{text_at(service, {"metadata", "namespace"}),
            text_at(service, {"metadata", "name"}),
            text_at(service, {"spec", "type"}, "ClusterIP"),
            addresses.empty() ? text_at(service, {"spec", "clusterIP"}, kNone) : addresses.front(),
            external_ip(service, options.wide),
            ports(service),
            age_of(text_at(service, {"metadata", "creationTimestamp"}))};
    if (options.wide) {
      const auto& counts = find(service, {"routing", "endpoints"});
      row.push_back(programmed(service));
      row.push_back(fmt::format("{}/{}/{}", number_at(counts, {"ready"}), number_at(counts, {"serving"}),
                                number_at(counts, {"terminating"})));
      row.push_back(new_flows(service));
      row.push_back(text_at(service, {"spec", "internalTrafficPolicy"}, "Cluster") + "/" +
                    text_at(service, {"spec", "externalTrafficPolicy"}, "Cluster"));
      row.push_back(affinity(service));
    }
    table.add(std::move(row));
  }
  return table.take();
}

std::vector<Row> endpoint_table(const json::value& list, ServiceTableOptions options) {
  Table table(options);
  table.header(options.wide ? Row{"NAMESPACE", "NAME", "ENDPOINT", "PORT", "STATE", "NODE", "ZONE", "LOCAL", "POD"}
                            : Row{"NAMESPACE", "NAME", "ENDPOINTS", "AGE"});
  for (const auto& object : list_at(list, {"items"})) {
    if (options.wide) {
      add_each_endpoint(table, object);
    } else {
      table.add({text_at(object, {"metadata", "namespace"}), text_at(object, {"metadata", "name"}), endpoints(object),
                 age_of(text_at(object, {"metadata", "creationTimestamp"}))});
    }
  }
  return table.take();
}

}  // namespace keelson::cli
