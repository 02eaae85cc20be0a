// SPDX-License-Identifier: Apache-2.0
// kube_proxy.h: its configuration, and what is asked of the kernel's rules.
#include "tests/support/kube_proxy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "tests/support/control_plane.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr auto kPatience = std::chrono::seconds(120);
constexpr const char* kMarker4 = "10.96.255.254";
constexpr const char* kMarker6 = "fd96::fffe";

json::object base_config(const KubeProxySettings& settings) {
  json::object soon = {{"minSyncPeriod", "1ms"}};
  return {{"apiVersion", "kubeproxy.config.k8s.io/v1alpha1"},
          {"kind", "KubeProxyConfiguration"},
          {"mode", to_string(settings.mode)},
          {"hostnameOverride", settings.node},
          {"clientConnection", json::object{{"kubeconfig", settings.kubeconfig}, {"qps", 1000}, {"burst", 2000}}},
          {"iptables", soon},
          {"nftables", soon},
          {"conntrack", json::object{{"maxPerCore", 0}, {"min", 0}}}};
}

void merge(json::object& into, const json::object& more) {
  for (const auto& [key, value] : more) {
    if (auto* there = into.if_contains(key); there && there->is_object() && value.is_object()) {
      merge(there->as_object(), value.get_object());
    } else {
      into[key] = value;
    }
  }
}

template <class Condition>
bool soon(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

// The name of the port changes, too, and only then has it endpoints: both the service and its slices have been seen.
std::vector<json::object> marker(int number) {
  auto name = fmt::format("m{}", number);
  auto slice = [&](const char* type, const char* address) {
    return json::parse(fmt::format(R"({{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice",
      "metadata":{{"name":"sync-marker-{0}","labels":{{"kubernetes.io/service-name":"sync-marker"}}}},
      "addressType":"{1}","ports":[{{"name":"{2}","port":{3},"protocol":"TCP"}}],"endpoints":[{{"addresses":["{4}"]}}]}})",
                                   type[3], type, name, number, address))
        .as_object();
  };
  auto service = json::parse(fmt::format(R"({{"apiVersion":"v1","kind":"Service","metadata":{{"name":"sync-marker"}},
      "spec":{{"clusterIP":"{0}","clusterIPs":["{0}","{1}"],"ipFamilyPolicy":"RequireDualStack",
      "ipFamilies":["IPv4","IPv6"],"ports":[{{"name":"{2}","port":{3},"protocol":"TCP"}}]}}}})",
                                         kMarker4, kMarker6, name, number))
                     .as_object();
  return {service, slice("IPv4", "192.0.2.9"), slice("IPv6", "2001:db8::9")};
}

int next_number() {
  static std::atomic<int> last = 0;
  return ++last;
}

}  // namespace

std::string_view to_string(ProxyMode mode) {
  return mode == ProxyMode::iptables ? "iptables" : "nftables";
}

std::string why_no_kube_proxy() {
  if (kubernetes_program().empty()) {
    return "needs the stock Kubernetes programs: ./dev peers";
  }
  for (const char* program : {"iptables", "ip6tables", "nft", "curl"}) {
    if (run({"sh", "-c", fmt::format("command -v {}", program)}).code != 0) {
      return fmt::format("needs {}", program);
    }
  }
  return "";
}

std::vector<std::string> KubeProxy::command(std::vector<std::string> words) const {
  words.insert(words.begin(), {"nsenter", "--net=" + settings_.netns});
  if (!settings_.iptables.empty()) {
    words.insert(words.begin(), {"env", "PATH=" + settings_.home + "/bin:" + ::getenv("PATH")});
  }
  return words;
}

void KubeProxy::start(const KubeProxySettings& settings) {
  settings_ = settings;
  fs::create_directories(settings_.home + "/bin");
  if (!settings_.iptables.empty()) {
    for (std::string name : {"iptables", "ip6tables"}) {
      for (std::string tool : {"", "-save", "-restore"}) {
        auto link = settings_.home + "/bin/" + name + tool;
        fs::remove(link);
        fs::create_symlink("/usr/sbin/" + name + "-" + settings_.iptables + tool, link);
      }
    }
  }
  auto file = settings_.home + "/kube-proxy.yaml";
  auto config = base_config(settings_);
  merge(config, settings_.config);
  std::ofstream(file) << json::serialize(config);
  process_ = Background(command({kubernetes_program(), "kube-proxy", "--config", file}), log_file());
  bool healthy = soon([&] { return !process_.alive() || get("http://127.0.0.1:10256/healthz").starts_with("200"); });
  ASSERT_TRUE(healthy && process_.alive()) << run({"tail", "-n", "20", log_file()}).out;
  wait_synced();  // /healthz is well before the first rule is written
}

bool KubeProxy::has_marker(int number) const {
  if (settings_.mode == ProxyMode::iptables) {
    auto has = [&](const char* program, const std::string& address) {
      auto rules = run(command({program, "-w", "-t", "nat", "-S", "KUBE-SERVICES"})).out;
      return rules.find(fmt::format("-d {} -p tcp -m comment --comment \"default/sync-marker:m{} ", address, number)) !=
             rules.npos;
    };
    return has("iptables", kMarker4 + std::string("/32")) && has("ip6tables", kMarker6 + std::string("/128"));
  }
  auto has = [&](const char* family, const char* address) {
    auto rules = run(command({"nft", "list", "map", family, "kube-proxy", "service-ips"})).out;
    return rules.find(fmt::format("{} . tcp . {} :", address, number)) != rules.npos;
  };
  return has("ip", kMarker4) && has("ip6", kMarker6);
}

void KubeProxy::wait_synced() {
  int number = next_number();
  ApiObjects(settings_.netns).apply(marker(number));
  ASSERT_TRUE(soon([&] { return has_marker(number); })) << run({"tail", "-n", "20", log_file()}).out;
}

void KubeProxy::stop() {
  process_.stop();
}

void KubeProxy::kill() {
  process_.kill();
}

void KubeProxy::clean_up() {
  stop();
  auto cleaned = run(command({kubernetes_program(), "kube-proxy", "--cleanup"}));
  EXPECT_EQ(cleaned.code, 0) << cleaned.error;
  // It leaves a chain that it shares with the kubelet.
  run(command({"sh", "-c",
               "for t in iptables ip6tables; do for c in INPUT OUTPUT; do $t -D $c -j KUBE-FIREWALL; done; $t -F "
               "KUBE-FIREWALL; $t -X KUBE-FIREWALL; done"}));
  auto rules = run(command({"sh", "-c", "iptables-save; ip6tables-save; nft list tables"})).out;
  EXPECT_EQ(rules.find("KUBE-"), rules.npos) << rules;
  EXPECT_EQ(rules.find("kube-proxy"), rules.npos) << rules;
  // The one setting that lets foreign packets reach 127.0.0.1, and that it does not take back.
  run(command({"sh", "-c", "echo 0 > /proc/sys/net/ipv4/conf/all/route_localnet"}));
}

std::string KubeProxy::get(const std::string& url) const {
  auto done = run(command({"curl", "--silent", "--max-time", "30", "--write-out", "\n%{http_code}", url}));
  auto line = done.out.rfind('\n');
  return line == std::string::npos ? "000 " : done.out.substr(line + 1) + " " + done.out.substr(0, line);
}

std::string KubeProxy::metrics() const {
  return get("http://127.0.0.1:10249/metrics");
}

double KubeProxy::metric(const std::string& name) const {
  std::istringstream lines(metrics());
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + " ")) {
      return std::stod(line.substr(name.size() + 1));
    }
  }
  return std::nan("");
}

}  // namespace keelson::testing
