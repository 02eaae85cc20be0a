// SPDX-License-Identifier: Apache-2.0
// kube_proxy_node.h over tests/support; objects are made by one curl(1) with some requests in flight.
#include "bench/kube_proxy_node.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <sstream>

#include <boost/json/parse.hpp>

#include "bench/machine.h"
#include "bench/service_objects.h"
#include "common/netns.h"
#include "tests/support/api_objects.h"
#include "tests/support/control_plane.h"

namespace keelson::bench {
namespace {

namespace json = boost::json;

using testing::ProxyMode;

constexpr const char* kNode = "node";

/// What tests/support has complained of since: it speaks as tests do, to standard output.
class Complaints {
 public:
  Result<> since() const {
    if (::testing::UnitTest::GetInstance()->ad_hoc_test_result().total_part_count() > before_) {
      return fail(Kind::internal, "kube-proxy or its API server: see above");
    }
    return {};
  }

 private:
  int before_ = ::testing::UnitTest::GetInstance()->ad_hoc_test_result().total_part_count();
};

// One transfer of a configuration file of curl.
std::string post(const std::string& path, const std::string& body) {
  std::string quoted;
  for (char c : body) {
    quoted += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  }
  return fmt::format(
      "next\nurl = \"{}{}\"\ninsecure\nsilent\nmax-time = 60\noutput = \"/dev/null\"\nwrite-out = "
      "\"%{{http_code}}\\n\"\n"
      "header = \"Authorization: Bearer {}\"\nheader = \"Content-Type: application/json\"\ndata-raw = \"{}\"\n",
      testing::kApiServer, path, testing::kAdminToken, quoted);
}

std::vector<json::object> node_object() {
  return {json::parse(fmt::format(R"({{"apiVersion":"v1","kind":"Node","metadata":{{"name":"{}"}},
      "status":{{"addresses":[{{"type":"InternalIP","address":"{}"}}]}}}})",
                                  kNode, kNodeAddress))
              .as_object()};
}

bool is_rule_of(const std::string& line, const char* service) {
  return line.starts_with("-A KUBE-SERVICES ") && line.find(fmt::format("default/{}:", service)) != line.npos;
}

// In iptables the place in the chain decides what a packet pays, and the worst is measured. Node ports come last
// anyway.
Result<> move_target_to_the_end(const ServiceWorld& world) {
  const std::string enter = "--net=" + world.netns("node");
  auto saved = testing::run({"nsenter", enter, "iptables-legacy-save"});
  std::string rest, moved;
  std::istringstream lines(saved.out);
  for (std::string line; std::getline(lines, line);) {
    if (is_rule_of(line, kTargetName)) {
      moved += line + "\n";
      continue;
    }
    if (line.starts_with("-A KUBE-SERVICES ") && line.find("-j KUBE-NODEPORTS") != line.npos) {
      rest += moved;
      moved.clear();
    }
    rest += line + "\n";
  }
  if (saved.code != 0 || rest.size() != saved.out.size() || !moved.empty()) {
    return fail(Kind::internal, "the rules of {} are not as expected: {}", kTargetName, saved.error);
  }
  auto restored = testing::run({"nsenter", enter, "iptables-legacy-restore"}, rest);
  if (restored.code != 0) {
    return fail(Kind::internal, "iptables-legacy-restore: {}", restored.error);
  }
  return {};
}

// That kube-proxy is done with all services, and not with some of them.
Result<> count_rules(const ServiceWorld& world, ProxyMode mode, uint32_t count) {
  std::vector<std::string> command = {"nsenter", "--net=" + world.netns("node")};
  const bool iptables = mode == ProxyMode::iptables;
  const std::vector<std::string> list =
      iptables ? std::vector<std::string>{"iptables-legacy", "-w", "-t", "nat", "-S", "KUBE-SERVICES"}
               : std::vector<std::string>{"nft", "list", "map", "ip", "kube-proxy", "service-ips"};
  command.insert(command.end(), list.begin(), list.end());
  const auto rules = testing::run(command).out;
  const std::string sign = iptables ? "-j KUBE-SVC-" : " : goto service-";
  uint32_t found = 0;
  for (auto at = rules.find(sign); at != rules.npos; at = rules.find(sign, at + 1)) {
    found++;
  }
  if (found < count) {
    return fail(Kind::internal, "kube-proxy has rules of {} services, not of {}", found, count);
  }
  return {};
}

}  // namespace

Result<> ServiceStore::fill(const ServiceWorld& world, uint32_t count) {
  if (count <= count_) {
    return {};
  }
  std::string requests;
  size_t wanted = 0;
  for (const auto& [service, slice] : services_with_slices(count, count_)) {
    requests += post("/api/v1/namespaces/default/services", to_json(service));
    requests += post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", to_json(slice));
    wanted += 2;
  }
  auto done = testing::run({"nsenter", "--net=" + world.netns("node"), "curl", "--parallel", "--parallel-max", "16",
                            "--no-progress-meter", "--config", "-"},
                           requests.substr(std::string("next\n").size()));
  size_t made = 0;
  std::istringstream codes(done.out);
  for (std::string code; std::getline(codes, code);) {
    made += code == "201" ? 1 : 0;
  }
  if (made != wanted) {
    return fail(Kind::internal, "{} of {} objects were made: {}{}", made, wanted, done.error, done.out.substr(0, 200));
  }
  count_ = count;
  return {};
}

Result<SyncCost> ServiceStore::write_rules(const ServiceWorld& world, ProxyMode mode, uint32_t count, int changes) {
  Complaints complaints;
  KEELSON_TRY(auto guard, NetnsGuard::enter(world.netns("node")));
  testing::ControlPlane control_plane(home_, kNode);
  control_plane.start();
  KEELSON_DO(complaints.since());
  testing::ApiObjects(world.netns("node")).apply(node_object());
  KEELSON_DO(complaints.since());
  KEELSON_DO(fill(world, count));

  SyncCost cost;
  testing::KubeProxy proxy;
  auto start = Clock::now();
  proxy.start({.mode = mode,
               .netns = world.netns("node"),
               .home = home_,
               .kubeconfig = control_plane.admin_kubeconfig(),
               .node = kNode,
               .config = {{"clusterCIDR", kPodRange}},
               .iptables = "legacy"});
  cost.cold_ms = since_ms(start);
  KEELSON_DO(complaints.since());
  for (int i = 0; i < changes; i++) {
    start = Clock::now();
    proxy.wait_synced();
    cost.changes.push_back(since_ms(start));
    KEELSON_DO(complaints.since());
  }
  cost.resident_mib = smaps_kib(std::to_string(proxy.pid()), "Rss") / 1024;
  proxy.stop();
  KEELSON_DO(count_rules(world, mode, count));
  if (mode == ProxyMode::iptables) {
    KEELSON_DO(move_target_to_the_end(world));
  }
  return cost;
}

}  // namespace keelson::bench
