// SPDX-License-Identifier: Apache-2.0
// Beside the unmodified kube-proxy: the same objects come to the same, and services change hands under open
// connections.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

#include <boost/json.hpp>

#include "common/fd.h"
#include "ebpf/bpf/abi.h"
#include "ebpf/testing.h"
#include "tests/support/control_plane.h"
#include "tests/support/kube_proxy.h"
#include "tests/support/network_daemon.h"

namespace keelson::testing {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ebpf::testing::SmallNet;
using ebpf::testing::Socket;
using ::testing::HasSubstr;

constexpr int kOpen = 200;

json::object object(const std::string& text) {
  return json::parse(text).as_object();
}

json::object slice(const std::string& service, const std::string& ports, const std::string& endpoints) {
  return object(R"({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
      "metadata": {"name": ")" +
                service + R"(-1", "labels": {"kubernetes.io/service-name": ")" + service + R"("}}, "ports": [)" +
                ports + R"(], "endpoints": [)" + endpoints + "]}");
}

json::object service(const std::string& name, const std::string& spec, const std::string& status = "") {
  return object(R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": ")" + name + R"("}, "spec": )" + spec +
                (status.empty() ? "}" : R"(, "status": )" + status + "}"));
}

const std::string kHere = R"({"addresses": ["10.2.0.2"], "nodeName": "here"})";
const std::string kThere = R"({"addresses": ["10.3.0.1"], "nodeName": "there"})";
const std::string kHttp = R"({"name": "", "port": 8080, "protocol": "TCP"})";

/// Every kind of address and policy.
std::vector<json::object> objects() {
  return {
      object(R"({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "here"},
                 "spec": {"podCIDR": "10.2.0.0/16", "podCIDRs": ["10.2.0.0/16"]},
                 "status": {"addresses": [{"type": "InternalIP", "address": "10.1.0.1"}]}})"),
      service("web", R"({"type": "NodePort", "clusterIP": "10.96.0.11", "externalIPs": ["198.51.100.5"],
                         "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080, "protocol": "TCP"}]})"),
      slice("web", kHttp, kHere + "," + kThere),
      service("dns", R"({"clusterIP": "10.96.0.12", "ports": [{"name": "a", "port": 53, "protocol": "UDP"},
                         {"name": "b", "port": 53, "protocol": "TCP"}]})"),
      slice("dns", R"({"name": "a", "port": 5353, "protocol": "UDP"}, {"name": "b", "port": 5354, "protocol": "TCP"})",
            kThere),
      service("sticky", R"({"clusterIP": "10.96.0.13", "sessionAffinity": "ClientIP", "ports": [{"port": 80}]})"),
      slice("sticky", kHttp, kHere + "," + kThere),
      service("nobody",
              R"({"type": "NodePort", "clusterIP": "10.96.0.14", "ports": [{"port": 80, "nodePort": 30090}]})"),
      service(
          "balanced",
          R"({"type": "LoadBalancer", "clusterIP": "10.96.0.15", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31777,
                              "loadBalancerSourceRanges": ["10.1.0.0/24"], "ports": [{"port": 443, "nodePort": 30443}]})",
          R"({"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}})"),
      slice("balanced", kHttp, kHere + "," + kThere),
      service("away", R"({"type": "NodePort", "clusterIP": "10.96.0.16", "externalTrafficPolicy": "Local",
                          "internalTrafficPolicy": "Local", "ports": [{"port": 80, "nodePort": 30091}]})"),
      slice("away", kHttp, kThere),
  };
}

/// A connection, both ends.
struct Conversation {
  Socket client, server;
  /// Whether both hear each other.
  bool goes_on() {
    return client.send("question") == 0 && server.receive() == "question" && server.send("answer") == 0 &&
           client.receive() == "answer";
  }
};

class TakeOverTest : public ::testing::TestWithParam<ProxyMode> {
 protected:
  void SetUp() override {
    for (const auto& reason : {NetworkDaemon::why_not(), why_no_kube_proxy()}) {
      if (!reason.empty()) {
        GTEST_SKIP() << reason;
      }
    }
    net_.emplace();
    net_->in("node", "ip link set lo up");
    guard_.emplace(net_->enter("node"));
    home_ = fs::temp_directory_path() / ("kl-take-over-" + std::to_string(::getpid()));
    control_.emplace(home_, "here");
    control_->start();
    ApiObjects().apply(objects());
    daemon_.emplace(*net_);
    start_kube_proxy();
    for (const auto& [ns, address] : {std::pair("pod2", "10.2.0.2"), std::pair("other", "10.3.0.1")}) {
      servers_.push_back(Socket::tcp(*net_, ns));
      servers_.back().bind(address, 8080);
      servers_.back().listen();
    }
  }
  void TearDown() override {
    if (!net_) {
      return;
    }
    daemon_->kill();
    run(daemon_->command({"uninstall"}));
    EXPECT_FALSE(fs::exists(daemon_->pins()));
    if (HasFailure()) {
      std::fputs(daemon_->log().c_str(), stderr);
    }
    proxy_.kill();
    control_.reset();
    daemon_.reset();
    guard_.reset();
    fs::remove_all(home_);
  }

  void start_kube_proxy() {
    proxy_.start({.mode = GetParam(),
                  .netns = net_->path("node"),
                  .home = home_,
                  .kubeconfig = control_->admin_kubeconfig(),
                  .node = "here",
                  .config = {{"clusterCIDR", "10.2.0.0/16"}},
                  .iptables = ""});
  }
  // kube-proxy has its own addresses of health and metrics.
  void start(const std::string& mode, const std::string& ready = "services are routed",
             std::vector<std::string> flags = {}) {
    flags.insert(flags.end(),
                 {"--service-mode", mode, "--kubeconfig", control_->admin_kubeconfig(), "--healthz-bind-address",
                  "127.0.0.1:11256", "--metrics-bind-address", "127.0.0.1:11249"});
    daemon_->start(flags, {}, ready);
  }
  Output keelson(std::vector<std::string> verb) {
    verb.insert(verb.end(), {"--kubeconfig", control_->admin_kubeconfig()});
    return run(daemon_->command(verb));
  }

  // One more connection, each kind in turn: from a pod by a cluster IP to one of two backends, from outside by a node
  // port that keeps the source, and by one that masquerades.
  std::optional<Conversation> open(int turn) {
    auto client = Socket::tcp(*net_, turn % 3 == 0 ? "pod1" : "client");
    if (client.connect(turn % 3 == 0 ? "10.96.0.11" : "10.1.0.1",
                       turn % 3 == 0   ? 80
                       : turn % 3 == 1 ? 30443
                                       : 30080,
                       10'000) != 0) {
      return std::nullopt;
    }
    pollfd waiting[] = {{servers_[0].fd(), POLLIN, 0}, {servers_[1].fd(), POLLIN, 0}};
    if (::poll(waiting, 2, 10'000) <= 0) {
      return std::nullopt;
    }
    auto server = servers_[waiting[0].revents & POLLIN ? 0 : 1].accept();
    return server ? std::optional<Conversation>({std::move(client), std::move(*server)}) : std::nullopt;
  }
  std::vector<Conversation> open_many() {
    std::vector<Conversation> all;
    for (int i = 0; i < kOpen; i++) {
      auto one = open(i);
      EXPECT_TRUE(one && one->goes_on()) << i;
      if (one) {
        all.push_back(std::move(*one));
      }
    }
    return all;
  }
  static int ended(std::vector<Conversation>& all) {
    return static_cast<int>(std::ranges::count_if(all, [](auto& one) { return !one.goes_on(); }));
  }
  // How many of these our programs have a row for.
  int ours(const std::vector<Conversation>& all) const {
    auto rows = flows_in_table();
    return static_cast<int>(std::ranges::count_if(all, [&](const auto& one) {
      sockaddr_in local{}, peer{};
      socklen_t size = sizeof local;
      ::getsockname(one.client.fd(), reinterpret_cast<sockaddr*>(&local), &size);
      ::getpeername(one.client.fd(), reinterpret_cast<sockaddr*>(&peer), &size);
      return rows.contains({local.sin_addr.s_addr, local.sin_port, peer.sin_addr.s_addr, peer.sin_port});
    }));
  }
  // Address and port of the sender and of the receiver, as packets have them. (A sender's port alone may serve many
  // connections, each to another receiver.)
  using Flow = std::tuple<uint32_t, uint16_t, uint32_t, uint16_t>;
  std::set<Flow> flows_in_table() const {
    std::set<Flow> flows;
    std::error_code none;  // which is no row
    for (const auto& entry : fs::recursive_directory_iterator(daemon_->pins(), none)) {
      if (entry.path().filename() != "connections4") {
        continue;
      }
      Fd table(::bpf_obj_get(entry.path().c_str()));
      kl_ct4_bucket bucket{};
      for (uint32_t i = 0; ::bpf_map_lookup_elem_flags(table.get(), &i, &bucket, BPF_F_LOCK) == 0; i++) {
        for (int way = 0; way < KL_CT_WAYS; way++) {
          const auto& row = bucket.row[way];
          if (bucket.tag[way] && !(row.flags & KL_CT_REPLY)) {
            flows.emplace(row.src, row.sport, row.dst, row.dport);
          }
        }
      }
    }
    return flows;
  }
  // Opens connections all the time while `change` happens; how many failed.
  template <class Change>
  int failed_while(Change change) {
    std::atomic<bool> stop = false;
    int failed = 0, opened = 0;
    std::jthread opener([&] {
      while (!stop || opened < 20) {
        auto one = open(++opened);
        failed += !(one && one->goes_on());
        // A thousand a second: with more, ports come round while the first ones' connections are still open.
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    change();
    stop = true;
    opener.join();
    RecordProperty("opened", opened);
    return failed;
  }

  std::optional<SmallNet> net_;
  std::optional<NetnsGuard> guard_;
  fs::path home_;
  std::optional<ControlPlane> control_;
  std::optional<NetworkDaemon> daemon_;
  KubeProxy proxy_;
  std::vector<Socket> servers_;
};
INSTANTIATE_TEST_SUITE_P(Modes, TakeOverTest, ::testing::Values(ProxyMode::iptables, ProxyMode::nftables),
                         [](const auto& info) { return std::string(to_string(info.param)); });

TEST_P(TakeOverTest, TheSameObjectsComeToTheSameAndADifferenceIsFound) {
  auto same = keelson({"compare"});
  EXPECT_EQ(same.code, 0) << same.out << same.error;
  EXPECT_THAT(same.out, HasSubstr("kube-proxy's rules do the same"));

  proxy_.stop();  // each half a minute it would write the rule anew
  net_->in("node", GetParam() == ProxyMode::iptables
                       ? "iptables -t nat -D KUBE-SERVICES $(iptables -t nat -L KUBE-SERVICES -n --line-numbers | awk "
                         "'/10.96.0.13/ {print $1; exit}')"
                       : "nft delete element ip kube-proxy service-ips { 10.96.0.13 . tcp . 80 }");
  auto differs = keelson({"compare", "-o", "json"});
  EXPECT_EQ(differs.code, 1) << differs.out << differs.error;
  auto differences = json::parse(differs.out).at("differences").as_array();
  ASSERT_EQ(differences.size(), 3u) << differs.out;
  for (const auto& one : differences) {
    EXPECT_EQ(one.at("service"), "default/sticky");
    EXPECT_EQ(one.at("destination"), "10.96.0.13:80/TCP");
    EXPECT_EQ(one.at("kubeProxy"), "not known");
  }
}

TEST_P(TakeOverTest, ShadowRoutesNothingAndTells) {
  start("shadow", "in the tables, not routed");
  daemon_->wait_for("kube-proxy's rules differ from what would be routed in 0 places");
  EXPECT_EQ(run({"bpftool", "net", "list"}).out.find("node_egress"), std::string::npos);
  auto one = open(0);
  EXPECT_TRUE(one && one->goes_on());
  EXPECT_EQ(daemon_->stop(), 0);
}

TEST_P(TakeOverTest, NoConnectionIsLostThereAndBack) {
  auto by_kube_proxy = open_many();
  EXPECT_EQ(failed_while([&] { start("take-over"); }), 0);
  EXPECT_EQ(ended(by_kube_proxy), 0) << "of those that kube-proxy opened";
  // Its rules stay: with the last rule of NAT the kernel would translate for no connection any more.
  EXPECT_EQ(failed_while([&] { proxy_.stop(); }), 0);
  EXPECT_EQ(ended(by_kube_proxy), 0) << "after it had ended";
  EXPECT_EQ(ours(by_kube_proxy), 0);
  auto by_us = open_many();
  EXPECT_EQ(ours(by_us), kOpen);

  start_kube_proxy();
  EXPECT_EQ(daemon_->stop(), 0);
  EXPECT_EQ(failed_while([&] { start("hand-back"); }), 0);
  EXPECT_EQ(ended(by_us), 0) << "of those that we opened";
  EXPECT_EQ(ended(by_kube_proxy), 0);
  auto back = open_many();
  EXPECT_EQ(ended(by_us), 0) << "beside those of kube-proxy";
  EXPECT_EQ(daemon_->stop(), 0);
  start("hand-back", "hand-back: time is up", {"--hand-back-timeout=1s"});
  EXPECT_EQ(daemon_->wait(), 0);
  EXPECT_FALSE(fs::exists(daemon_->pins() + "/services"));
  EXPECT_EQ(ended(back), 0) << "new ones are kube-proxy's";
  EXPECT_EQ(ended(by_kube_proxy), 0);
  auto again = open(1);
  EXPECT_TRUE(again && again->goes_on());
}

}  // namespace
}  // namespace keelson::testing
