// SPDX-License-Identifier: Apache-2.0
// proxy.h: the real kube-proxy, on objects of a real API server.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/services/proxy.h"
#include "tests/services/sync_turns.h"
#include "tests/support/api_objects.h"
#include "tests/support/kube_proxy.h"

namespace keelson::services {
namespace {

using keelson::testing::ApiObjects;
using keelson::testing::KubeProxy;
using keelson::testing::KubeProxySettings;
using keelson::testing::ProxyMode;

class Peer : public Proxy {
 public:
  Peer(World& world, const Group& group, Side side, const std::string& home)
      : settings_{.mode = side == Side::iptables ? ProxyMode::iptables : ProxyMode::nftables,
                  .netns = world.netns("node"),
                  .home = home,
                  .kubeconfig = home + "/admin.conf",
                  .node = "node",
                  .config = group.proxy,
                  .iptables = ""},
        api_(world.netns("node")) {}

  void apply(const std::vector<json::object>& objects) override {
    std::set<std::string> namespaces;
    std::vector<json::object> all;
    for (const auto& object : objects) {
      if (auto name = object.at("metadata").as_object().if_contains("namespace")) {
        namespaces.insert(std::string(name->as_string()));
      }
    }
    for (const auto& name : namespaces) {
      all.push_back({{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", json::object{{"name", name}}}});
    }
    all.insert(all.end(), objects.begin(), objects.end());
    api_.apply(all);
  }
  void remove(const std::vector<json::object>& objects) override { api_.remove(objects); }
  void sync() override {
    turns_.wait([&] {
      proxy_.wait_synced();
      proxy_.wait_synced();  // conntrack is cleared after the rules of the first are written
    });
  }

  void start() override {
    proxy_.start(settings_);
    sync();
  }
  void stop() override { proxy_.stop(); }
  void kill() override { proxy_.kill(); }
  void clean_up() override { proxy_.clean_up(); }

 private:
  KubeProxySettings settings_;
  ApiObjects api_;
  KubeProxy proxy_;
  SyncTurns turns_;
};

}  // namespace

std::unique_ptr<Proxy> make_kube_proxy(World& world, const Group& group, Side side, const std::string& home) {
  return std::make_unique<Peer>(world, group, side, home);
}

}  // namespace keelson::services
