// SPDX-License-Identifier: Apache-2.0
#include "network/shadow.h"

#include <algorithm>
#include <utility>

#include "common/host_addresses.h"
#include "common/task_group.h"
#include "network/kube_proxy/presence.h"

namespace keelson::network {
namespace {

Result<std::unique_ptr<ObjectSource>> open_source(Loop& loop, const NetworkOptions& options) {
  if (options.api) {
    return api_source(loop, *options.api);
  }
  return folder_source(loop, options.manifest_dir, options.router.node_name);
}

/// Ends the loop when the source has told all, or when time is up.
class Listing {
 public:
  Listing(Loop& loop, const RouterOptions& options) : loop_(loop), translator_(translate_options(options, {}, {})) {}

  void take(ObjectBatch batch) {
    translator_.hold(std::move(batch.objects));
    nodes_.apply(batch.nodes);
    if (batch.synced && !std::exchange(synced_, true)) {
      end_soon();
    }
  }
  Task<> give_up(Duration deadline) {
    KEELSON_CO_DO(co_await loop_.sleep(deadline));
    if (!synced_) {
      end_soon();
    }
    co_return Result<>();
  }
  TaskGroup& tasks() { return tasks_; }
  bool synced() const { return synced_; }

  WantedServices wanted(const RouterOptions& options) {
    translator_.settle(translate_options(options, nodes_, host_addresses()));
    return {translator_.model(), nodes_};
  }

 private:
  /// Not at once: who calls is one of those that are cancelled, and must be waiting then.
  void end_soon() {
    loop_.post([this] { ending_.spawn("end", end()); });
  }

  Task<> end() {
    KEELSON_CO_DO(co_await tasks_.close());
    loop_.stop();
    co_return Result<>();
  }

  Loop& loop_;
  dataplane::Translator translator_;
  NodeTable nodes_;
  bool synced_ = false;
  TaskGroup tasks_{loop_};
  TaskGroup ending_{loop_};
};

/// A late one of a range, which no pod has soon.
dataplane::Address pod_of(const dataplane::Prefix& range) {
  auto address = range.address;
  size_t first = address.is_v4() ? 96u + range.length : range.length;
  for (size_t bit = first; bit < 127; bit++) {
    address.bytes[bit / 8] |= static_cast<uint8_t>(0x80 >> bit % 8);
  }
  return address;
}

NodeView view_of(const NodeTable& nodes, const std::string& node_name) {
  NodeView view;
  // Of the ranges for documentation (RFC 5737, 3849).
  view.senders4.outside = *dataplane::Address::parse("192.0.2.9");
  view.senders6.outside = *dataplane::Address::parse("2001:db8::9");
  for (const auto& text : host_addresses()) {
    if (auto address = dataplane::Address::parse(text)) {
      auto& node = (address->is_v4() ? view.senders4 : view.senders6).node;
      node = node.is_unspecified() ? *address : node;
      view.addresses.push_back(*address);
    }
  }
  if (const auto* own = nodes.find(node_name)) {
    for (const auto& range : own->pod_cidrs) {
      (range.address.is_v4() ? view.senders4 : view.senders6).pod = pod_of(range);
    }
  }
  return view;
}

bool has_services(const dataplane::Model& model, dataplane::Family family) {
  return std::ranges::any_of(model.services, [&](const auto& service) { return service.first.family == family; });
}

}  // namespace

Result<WantedServices> wanted_services(const NetworkOptions& options, Duration deadline) {
  Loop loop(real_clock(), "kl-list");
  KEELSON_TRY(auto source, open_source(loop, options));
  Listing listing(loop, options.router);
  listing.tasks().spawn("source", source->run([&listing](ObjectBatch batch) { listing.take(std::move(batch)); }));
  listing.tasks().spawn("deadline", listing.give_up(deadline));
  loop.run();
  if (!listing.synced()) {
    auto trouble = source->trouble();
    return fail(Kind::timeout, "the source has not told all its services in time{}{}", trouble.empty() ? "" : ": ",
                trouble);
  }
  return listing.wanted(options.router);
}

Result<std::vector<Difference>> compare_with_kube_proxy(const dataplane::Model& model, const NodeTable& nodes,
                                                        const std::string& node_name) {
  auto view = view_of(nodes, node_name);
  std::vector<Difference> all;
  std::string absent;
  bool any = false;
  for (auto family : {dataplane::Family::ipv4, dataplane::Family::ipv6}) {
    auto rules = read_kube_proxy_rules(family);
    if (!rules && rules.error().kind() != Kind::not_found) {
      return std::unexpected(std::move(rules).error());
    }
    any = any || rules;
    absent += rules ? "" : (absent.empty() ? "" : "; ") + rules.error().message();
    if (rules || has_services(model, family)) {
      auto some = compare(model, rules ? *rules : Ruleset(), family, view);
      all.insert(all.end(), some.begin(), some.end());
    }
  }
  if (!any) {
    return fail(Kind::not_found, "{}", absent);
  }
  return all;
}

}  // namespace keelson::network
