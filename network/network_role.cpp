// SPDX-License-Identifier: Apache-2.0
#include "network/network_role.h"

#include <thread>

#include "common/log.h"
#include "common/task_group.h"
#include "network/admin_api.h"
#include "network/hand_over.h"
#include "network/kube_proxy/presence.h"
#include "network/leaving_pods.h"
#include "network/shadow.h"

namespace keelson::network {
namespace {

constexpr auto kCompareEach = std::chrono::seconds(10);
constexpr size_t kMostTold = 10;  // `keelson compare` has all

class Role : public NetworkRole {
 public:
  explicit Role(NetworkOptions options) : options_(std::move(options)) {}
  ~Role() override {
    if (thread_.joinable()) {
      stop();
    }
  }

  Result<> begin() {
    KEELSON_TRY(router_, Router::open(loop_, options_.router));
    if (options_.api) {
      KEELSON_TRY(source_, api_source(loop_, *options_.api));
    } else {
      auto local = folder_source(loop_, options_.manifest_dir, options_.router.node_name);
      local_ = local.get();
      source_ = std::move(local);
    }
    options_.servers.node_expected = options_.api.has_value();
    options_.servers.more_stats = [this](Stats& stats) { source_->collect(stats); };
    servers_ = std::make_unique<ProxyServers>(loop_, options_.servers, options_.router, *router_);
    KEELSON_DO(servers_->start());
    router_->on_sync([this](const SyncReport& report) { servers_->synced(report); });
    auto told = options_.api ? "API servers" : "manifests in " + options_.manifest_dir;
    api_ = std::make_unique<AdminApi>(loop_, *router_, *source_,
                                      AdminApiOptions{.socket = options_.admin_socket,
                                                      .source = std::move(told),
                                                      .socket_cgroup = options_.router.socket_cgroup});
    KEELSON_DO(api_->listen());
    thread_ = std::jthread([this] {
      tasks_.spawn("links", router_->run());
      tasks_.spawn("admin API", api_->run());
      tasks_.spawn("flow events", api_->watch());
      tasks_.spawn("source", source_->run([this](ObjectBatch batch) { take(std::move(batch)); }));
      if (options_.router.mode == ServiceMode::shadow) {
        tasks_.spawn("compare", compare());
      }
      if (options_.router.mode == ServiceMode::hand_back) {
        tasks_.spawn("hand back", hand_back());
      }
      loop_.run();
    });
    return {};
  }

  void pod_changed(kube::Pod pod, bool gone) override {
    loop_.post([this, pod = std::move(pod), gone]() mutable {
      if (leaving_.pod_changed(pod, gone, loop_.clock().steady())) {
        router_->set_leaving(leaving_.pods());
      }
      if (local_) {
        local_->pod_changed(std::move(pod), gone);
      }
    });
  }

  void pod_ends(kube::Pod pod, bool for_good, std::function<void()> done) override {
    loop_.post([this, pod = std::move(pod), for_good, done = std::move(done)] {
      leaving_.leaves(pod, for_good);
      router_->set_leaving(leaving_.pods());
      done();
    });
  }

  bool stop() override {
    loop_.post([this] { stopping_.spawn("stop", end()); });
    thread_.join();
    if (!options_.remove_on_exit && !handed_back_) {
      return true;
    }
    auto removed = ebpf::Programs::remove(options_.router.bpf_dir);
    if (!removed) {
      log::error("{}", removed.error().message());
    }
    return removed.has_value();
  }

 private:
  void take(ObjectBatch batch) {
    servers_->received(batch);
    router_->take(std::move(batch));
  }

  /// Again and again, and tells what has changed. Blocks the loop while rules are read: nothing waits for it, since
  /// nothing is routed.
  Task<> compare() {
    std::optional<std::vector<Difference>> told;
    for (;;) {
      KEELSON_CO_DO(co_await loop_.sleep(kCompareEach));
      if (!router_->synced()) {
        continue;
      }
      auto found = compare_with_kube_proxy(router_->translator().model(), router_->nodes(), options_.router.node_name);
      if (!found) {
        log::warning("not compared with kube-proxy: {}", found.error().message());
        continue;
      }
      servers_->compared(found->size());
      if (told != *found) {
        tell(*found);
        told = *std::move(found);
      }
    }
  }

  static void tell(const std::vector<Difference>& differences) {
    log::info("kube-proxy's rules differ from what would be routed in {} places", differences.size());
    for (size_t i = 0; i < differences.size() && i < kMostTold; i++) {
      const auto& one = differences[i];
      log::warning("{} {} from {}: {}; kube-proxy: {}", one.service, one.destination, one.from, one.ours, one.theirs);
    }
  }

  Task<> hand_back() {
    if (auto others = find_other_proxies(); others.found.empty()) {
      log::warning("hand-back: no other service proxy has rules here: new flows of services go nowhere");
    }
    KEELSON_CO_TRY(auto left, co_await wait_for_last_flow(&loop_, &router_->programs(), options_.hand_back_limit));
    if (left > 0) {
      log::warning("hand-back: time is up, {} flows are cut", left);
    } else {
      log::info("hand-back: no flow is ours any more");
    }
    handed_back_ = true;
    options_.handed_back();
    co_return Result<>();
  }

  Task<> end() {
    KEELSON_CO_DO(co_await servers_->close());
    KEELSON_CO_DO(co_await tasks_.close());
    loop_.stop();
    co_return Result<>();
  }

  NetworkOptions options_;
  Loop loop_{real_clock(), "kl-network"};
  std::unique_ptr<Router> router_;
  std::unique_ptr<ObjectSource> source_;
  LocalSource* local_ = nullptr;  // source_, if it is one
  LeavingPods leaving_;
  std::unique_ptr<ProxyServers> servers_;
  std::unique_ptr<AdminApi> api_;
  TaskGroup tasks_{loop_};
  TaskGroup stopping_{loop_};
  bool handed_back_ = false;  // of the thread
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<NetworkRole>> NetworkRole::start(NetworkOptions options) {
  auto role = std::make_unique<Role>(std::move(options));
  KEELSON_DO(role->begin());
  return role;
}

}  // namespace keelson::network
