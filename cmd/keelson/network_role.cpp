// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/network_role.h"

#include <optional>
#include <thread>

#include "agent/pod_source.h"
#include "cmd/keelson/node_addresses.h"
#include "common/link_watch.h"
#include "common/log.h"
#include "common/task_group.h"
#include "dataplane/translate/translate.h"
#include "ebpf/node_links.h"
#include "ebpf/programs.h"

namespace keelson::cli {

namespace {

constexpr auto kRetry = std::chrono::seconds(10);
constexpr auto kGather = std::chrono::milliseconds(20);

class Role : public NetworkRole {
 public:
  Role(const NodeConfig& config, std::string node_name, ebpf::Programs programs, ebpf::Tables tables, Netlink netlink,
       std::string cgroup)
      : config_(config),
        cgroup_(std::move(cgroup)),
        programs_(std::move(programs)),
        tables_(std::move(tables)),
        netlink_(std::move(netlink)) {
    options_.node_name = std::move(node_name);
    options_.zone = config.topology_zone;
    options_.masquerade_all = config.masquerade_all;
  }
  ~Role() override {
    if (thread_.joinable()) {
      stop();
    }
  }

  Result<> begin() {
    KEELSON_DO(look_at_node());
    KEELSON_TRY(watch_, LinkWatch::open(loop_));
    thread_ = std::jthread([this] {
      tasks_.spawn("manifests", source_.run());
      tasks_.spawn("links", follow_links());
      loop_.run();
    });
    return {};
  }

  bool stop() override {
    loop_.post([this] { stopping_.spawn("stop", end()); });
    thread_.join();
    if (!config_.remove_services_on_exit) {
      return true;
    }
    auto removed = ebpf::Programs::remove(config_.bpf_dir);
    if (!removed) {
      log::error("{}", removed.error().message());
    }
    return removed.has_value();
  }

 private:
  Task<> end() {
    KEELSON_CO_DO(co_await tasks_.close());
    loop_.stop();
    co_return Result<>();
  }

  /// What is known of the node itself: its addresses, and from them what the programs are told.
  Result<> look_at_node() {
    ebpf::NodeSettings settings;
    KEELSON_TRY(settings.netns_cookie, ebpf::netns_cookie());
    options_.node_port_addresses.clear();
    for (const auto& text : node_addresses()) {
      auto address = dataplane::Address::parse(text);
      if (!address) {
        continue;
      }
      options_.node_port_addresses.push_back(*address);
      auto& masquerade = address->is_v4() ? settings.masquerade4 : settings.masquerade6;
      if (masquerade.is_unspecified()) {
        masquerade = *address;
      }
    }
    options_.node_port_addresses.push_back(dataplane::Address::v4(0x7f000001));
    return programs_.configure(settings);
  }

  void objects_changed(agent::DesiredState state) {
    for (const auto& problem : state.problems) {
      if (problem.kind == "Service" || problem.kind == "EndpointSlice" || problem.kind.empty()) {
        log::warning("{}", problem.text);
      }
    }
    objects_ = {std::move(state.services), std::move(state.endpoint_slices)};
    route();
  }

  /// From the objects and the node to the tables. The first time everything, then what differs.
  void route() {
    auto wanted = dataplane::translate(objects_, options_);
    const auto now = loop_.clock().steady();
    std::vector<Error> errors;
    if (!model_) {
      errors = tables_.adopt(wanted, now);
      attach();
    } else if (failed_) {
      dataplane::Delta all{.changed = wanted.services, .removed = dataplane::delta(*model_, wanted).removed};
      errors = tables_.apply(all, now);
    } else {
      auto change = dataplane::delta(*model_, wanted);
      if (change.empty()) {
        return;
      }
      errors = tables_.apply(change, now);
    }
    for (const auto& error : errors) {
      log::error("{}", error.message());
    }
    failed_ = !errors.empty();
    log::info("{} services are routed, {} could not be", wanted.services.size() - errors.size(), errors.size());
    model_ = std::move(wanted);
    if (failed_) {
      tasks_.spawn("try again", try_again());
    }
  }

  Task<> try_again() {
    KEELSON_CO_DO(co_await loop_.sleep(kRetry));
    if (failed_) {
      route();
    }
    co_return Result<>();
  }

  /// Only now that the tables are right: programs without tables would let services fall through.
  void attach() {
    if (auto sockets = programs_.attach_sockets(cgroup_); !sockets) {
      log::error("sockets are not translated, packets are: {}", sockets.error().message());
    }
    sync_links();
  }

  void sync_links() {
    auto links = ebpf::sync_links(programs_, netlink_, {config_.uplinks, config_.xdp});
    if (!links) {
      log::error("{}", links.error().message());
    }
  }

  Task<> follow_links() {
    for (;;) {
      KEELSON_CO_DO(co_await watch_->next());
      KEELSON_CO_DO(co_await loop_.sleep(kGather));
      if (auto looked = look_at_node(); !looked) {
        log::error("{}", looked.error().message());
      }
      if (model_) {
        sync_links();
        route();
      }
    }
  }

  const NodeConfig& config_;
  std::string cgroup_;
  ebpf::Programs programs_;
  ebpf::Tables tables_;
  Netlink netlink_;
  dataplane::TranslateOptions options_;
  dataplane::ServiceObjects objects_;
  std::optional<dataplane::Model> model_;
  bool failed_ = false;
  Loop loop_{real_clock(), "kl-network"};
  std::unique_ptr<LinkWatch> watch_;
  agent::PodSource source_{loop_, config_.manifest_dir,
                           [this](agent::DesiredState state) { objects_changed(std::move(state)); }};
  TaskGroup tasks_{loop_};
  TaskGroup stopping_{loop_};
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<NetworkRole>> NetworkRole::start(const NodeConfig& config, const std::string& node_name) {
  std::string cgroup = config.socket_cgroup;
  if (cgroup.empty()) {
    KEELSON_TRY(cgroup, ebpf::cgroup2_root());
  }
  KEELSON_TRY(auto programs, ebpf::Programs::load({.pin_folder = config.bpf_dir, .sizes = {}}));
  KEELSON_TRY(auto tables, ebpf::Tables::open(programs.table_maps()));
  KEELSON_TRY(auto netlink, Netlink::open());
  log::info("services: programs are loaded{}", programs.adopted() ? ", tables of a daemon before are taken over" : "");
  auto role =
      std::make_unique<Role>(config, node_name, std::move(programs), std::move(tables), std::move(netlink), cgroup);
  KEELSON_DO(role->begin());
  return role;
}

}  // namespace keelson::cli
