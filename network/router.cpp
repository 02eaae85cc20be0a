// SPDX-License-Identifier: Apache-2.0
#include "network/router.h"

#include "common/host_addresses.h"
#include "common/link_watch.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/task_group.h"
#include "network/hand_over.h"

namespace keelson::network {
namespace {

constexpr auto kRetry = std::chrono::seconds(10);
constexpr auto kLookAtRoom = std::chrono::seconds(1);
constexpr auto kGather = std::chrono::milliseconds(20);

/// Of all nodes, where flows are forwarded to them.
std::map<std::string, std::vector<dataplane::Address>> node_addresses(const RouterOptions& options,
                                                                      const NodeTable& nodes) {
  std::map<std::string, std::vector<dataplane::Address>> addresses;
  if (options.forwarding == dataplane::Forwarding::dsr) {
    for (const auto& [name, row] : nodes.rows) {
      addresses[name] = row.addresses;
    }
  }
  return addresses;
}

class KernelRouter : public Router {
 public:
  KernelRouter(Loop& loop, RouterOptions options, ebpf::Programs programs, ebpf::Tables tables, Netlink netlink,
               std::unique_ptr<LinkWatch> watch)
      : loop_(loop),
        options_(std::move(options)),
        programs_(std::move(programs)),
        tables_(std::move(tables)),
        growth_(programs_, tables_, options_.map_budget),
        netlink_(std::move(netlink)),
        watch_(std::move(watch)),
        translator_(translate_options(options_, {}, {})) {}

  void take(ObjectBatch batch) override {
    auto started = loop_.clock().steady();
    translator_.hold(std::move(batch.objects));
    bool moved = nodes_.apply(batch.nodes);
    if (!batch.synced) {
      return;
    }
    if (moved && (options_.forwarding == dataplane::Forwarding::dsr || options_.node_cidrs)) {
      if (auto told = programs_.configure(settings()); !told) {
        log::error("{}", told.error().message());
      }
    }
    auto translation = translate_options(options_, nodes_, own_);
    if (synced_) {
      write(translator_.set_options(std::move(translation)), started, moved);
    } else {
      translator_.settle(std::move(translation));
      adopt(started);
    }
  }

  void set_leaving(std::vector<dataplane::LeavingPod> pods) override {
    auto started = loop_.clock().steady();
    auto delta = translator_.set_leaving(std::move(pods));
    if (synced_) {
      write(std::move(delta), started, false);
    }
  }

  Task<> run() override {
    using namespace asio::experimental::awaitable_operators;
    auto ended = co_await (follow_node() || keep_room());
    co_return std::visit([](auto& result) { return std::move(result); }, ended);
  }

  void on_sync(std::function<void(const SyncReport&)> listener) override { listener_ = std::move(listener); }
  const std::optional<SyncReport>& last_sync() const override { return last_sync_; }
  Result<> tell_events(EventChoice choice) override {
    events_ = choice;
    return programs_.configure(settings());
  }
  ServiceMode mode() const override { return options_.mode; }
  bool synced() const override { return synced_; }
  const dataplane::Translator& translator() const override { return translator_; }
  const ebpf::Tables& tables() const override { return tables_; }
  const ebpf::Programs& programs() const override { return programs_; }
  const ebpf::MapGrowth& map_growth() const override { return growth_; }
  const NodeTable& nodes() const override { return nodes_; }

  /// What is known of the node itself: its addresses, and from them what the programs are told. Returns what they
  /// change.
  Result<dataplane::Delta> look_at_node() {
    KEELSON_TRY(netns_cookie_, ebpf::netns_cookie());
    own_ = host_addresses();
    KEELSON_DO(programs_.configure(settings()));
    return translator_.set_options(translate_options(options_, nodes_, own_));
  }

  ebpf::NodeSettings settings() const override {
    ebpf::NodeSettings settings{.netns_cookie = netns_cookie_};
    settings.times = options_.flow_times;
    settings.local_sources = options_.local_sources;
    if (const auto* node = nodes_.find(options_.node_name); node && options_.node_cidrs) {
      settings.local_sources.insert(settings.local_sources.end(), node->pod_cidrs.begin(), node->pod_cidrs.end());
    }
    settings.drop_events = events_.drops;
    settings.flow_events = events_.flows;
    settings.new_flows = options_.mode != ServiceMode::hand_back;
    settings.leave_strangers = options_.mode == ServiceMode::take_over;
    for (const auto& text : own_) {
      if (auto address = dataplane::Address::parse(text)) {
        auto& masquerade = address->is_v4() ? settings.masquerade4 : settings.masquerade6;
        masquerade = masquerade.is_unspecified() ? *address : masquerade;
      }
    }
    for (const auto& [name, addresses] : node_addresses(options_, nodes_)) {
      if (name != options_.node_name) {
        settings.nodes.insert(settings.nodes.end(), addresses.begin(), addresses.end());
      }
    }
    return settings;
  }

 private:
  Task<> follow_node() {
    for (;;) {
      KEELSON_CO_DO(co_await watch_->next());
      KEELSON_CO_DO(co_await loop_.sleep(kGather));
      node_changed();
    }
  }

  /// Larger maps before they are full. The verifier looks at the programs for them on another thread, so that changes
  /// go on being carried out.
  Task<> keep_room() {
    for (;;) {
      KEELSON_CO_DO(co_await loop_.sleep(kLookAtRoom));
      auto grown = co_await grow_if_due();
      if (!grown && grown.error().kind() == Kind::cancelled) {
        co_return grown;
      }
      if (!grown && grown.error().kind() != Kind::conflict) {
        log::error("maps cannot grow, tried again in {} s: {}", kRetry / std::chrono::seconds(1),
                   grown.error().message());
        KEELSON_CO_DO(co_await loop_.sleep(kRetry));
      }
    }
  }

  Task<> grow_if_due() {
    KEELSON_CO_TRY(auto due, growth_.begin());
    if (!due) {
      co_return Result<>();
    }
    auto grower = std::make_shared<ebpf::Grower>(*std::move(due));
    asio::thread_pool thread(1);
    KEELSON_CO_DO(co_await blocking(thread, [grower] { return grower->prepare(); }));
    co_return growth_.finish(std::move(*grower));
  }

  /// At once: what is to be written does not fit otherwise.
  void make_room(const ebpf::TableRows& rows) {
    if (auto made = growth_.make_room(rows); !made) {
      log::error("{}", made.error().message());
    }
  }

  /// The first time: everything, over what a daemon before has left.
  void adopt(SteadyTime started) {
    make_room(ebpf::rows_of(translator_.model()));
    auto errors = tables_.adopt(translator_.model(), started);
    // Only now that the tables are right: programs without tables would let services fall through.
    if (attaches()) {
      // Once more for what the stack has begun meanwhile.
      keep_ports();
      attach();
      keep_ports();
    }
    synced_ = true;
    finish({.full = true, .changed = translator_.model().services.size()}, errors, started);
    // The text of the first lists, and the code that loads programs.
    if (auto released = release_startup_memory(); !released) {
      log::warning("memory of the start is kept: {}", released.error().message());
    }
  }

  /// Handing back, what is attached is enough: what comes later has no flow of ours.
  bool attaches() const { return options_.mode == ServiceMode::route || options_.mode == ServiceMode::take_over; }

  void keep_ports() {
    if (options_.mode != ServiceMode::take_over) {
      return;
    }
    auto told = settings();
    auto kept = keep_stack_ports(programs_, translator_.model(), {told.masquerade4, told.masquerade6});
    if (!kept) {
      log::warning("take-over: flows may be masqueraded with ports that the stack has given out: {}",
                   kept.error().message());
    } else if (*kept > 0) {
      log::info("take-over: {} ports of masqueraded flows are the stack's", *kept);
    }
  }

  void attach() {
    if (auto sockets = programs_.attach_sockets(options_.socket_cgroup); !sockets) {
      log::error("sockets are not translated, packets are: {}", sockets.error().message());
    }
    sync_links();
  }

  void write(dataplane::Delta delta, SteadyTime started, bool full) {
    if (delta.empty() && !failed_) {
      listener_({.duration = loop_.clock().steady() - started});
      return;
    }
    if (failed_) {
      full = true;
      delta.changed = translator_.model().services;
    }
    make_room(tables_.wanted(delta));
    auto errors = tables_.apply(delta, started);
    finish({.full = full, .changed = delta.changed.size() + delta.removed.size()}, errors, started);
  }

  void finish(SyncReport report, const std::vector<Error>& errors, SteadyTime started) {
    for (const auto& error : errors) {
      log::error("{}", error.message());
    }
    report.failed = errors.size();
    report.duration = loop_.clock().steady() - started;
    report.at = loop_.clock().wall();
    last_sync_ = report;
    bool again = !failed_ && !errors.empty();
    failed_ = !errors.empty();
    auto all = translator_.model().services.size();
    log::info("{} services are {}, {} could not be ({} changed, {:.1f} ms)", all - std::min(all, report.failed),
              options_.mode == ServiceMode::shadow ? "in the tables, not routed" : "routed", report.failed,
              report.changed, std::chrono::duration<double, std::milli>(report.duration).count());
    listener_(report);
    if (again) {
      tasks_.spawn("try again", try_again());
    }
  }

  Task<> try_again() {
    while (failed_) {
      KEELSON_CO_DO(co_await loop_.sleep(kRetry));
      if (failed_) {
        write({}, loop_.clock().steady(), true);
      }
    }
    co_return Result<>();
  }

  void node_changed() {
    auto started = loop_.clock().steady();
    auto delta = look_at_node();
    if (!delta) {
      log::error("{}", delta.error().message());
    }
    if (synced_) {
      sync_links();
      write(delta ? *std::move(delta) : dataplane::Delta(), started, true);
    }
  }

  void sync_links() {
    if (!attaches()) {
      return;
    }
    if (auto links = ebpf::sync_links(programs_, netlink_, options_.links); !links) {
      log::error("{}", links.error().message());
    }
  }

  Loop& loop_;
  RouterOptions options_;
  ebpf::Programs programs_;
  ebpf::Tables tables_;
  ebpf::MapGrowth growth_;
  Netlink netlink_;
  std::unique_ptr<LinkWatch> watch_;
  dataplane::Translator translator_;
  NodeTable nodes_;
  uint64_t netns_cookie_ = 0;
  std::vector<std::string> own_;  // addresses of this node
  EventChoice events_;
  bool synced_ = false;
  bool failed_ = false;
  std::optional<SyncReport> last_sync_;
  std::function<void(const SyncReport&)> listener_ = [](const SyncReport&) {};
  TaskGroup tasks_{loop_};
};

}  // namespace

std::string_view to_string(ServiceMode mode) {
  constexpr std::string_view kNames[] = {"route", "shadow", "take-over", "hand-back"};
  return kNames[static_cast<size_t>(mode)];
}

dataplane::TranslateOptions translate_options(const RouterOptions& options, const NodeTable& nodes,
                                              const std::vector<std::string>& own_addresses) {
  const auto* own = nodes.find(options.node_name);
  return {.node_name = options.node_name,
          .zone = !options.zone.empty() || !own ? options.zone : own->zone,
          .node_port_addresses = node_port_addresses(options.node_ports, own_addresses),
          .nodes = node_addresses(options, nodes),
          .forwarding = options.forwarding,
          .algorithm = options.algorithm,
          .masquerade_all = options.masquerade_all};
}

Result<std::unique_ptr<Router>> Router::open(Loop& loop, RouterOptions options) {
  if (options.socket_cgroup.empty()) {
    KEELSON_TRY(options.socket_cgroup, ebpf::cgroup2_root());
  }
  KEELSON_TRY(auto programs, ebpf::Programs::load({.pin_folder = options.bpf_dir, .sizes = options.sizes}));
  if (options.mode == ServiceMode::shadow && !programs.attached_links().empty()) {
    return fail(Kind::conflict,
                "serviceMode shadow: programs of a daemon before route services; run it with hand-back until their "
                "connections have ended, then `keelson uninstall`");
  }
  if (options.mode == ServiceMode::hand_back) {
    // Before the other proxy's next flow; and again by who waits for the last of ours.
    KEELSON_TRY(auto flows, open_flows(programs));
    if (auto held = hold_ports(flows); !held) {
      log::warning("{}", held.error().message());
    }
  }
  KEELSON_TRY(auto tables, ebpf::Tables::open(programs.table_maps()));
  KEELSON_TRY(auto netlink, Netlink::open());
  KEELSON_TRY(auto watch, LinkWatch::open(loop));
  log::info("services: programs are loaded{}", programs.adopted() ? ", tables of a daemon before are taken over" : "");
  auto router = std::make_unique<KernelRouter>(loop, std::move(options), std::move(programs), std::move(tables),
                                               std::move(netlink), std::move(watch));
  KEELSON_DO(router->look_at_node());
  return router;
}

}  // namespace keelson::network
