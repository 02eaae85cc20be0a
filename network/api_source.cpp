// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "common/log.h"
#include "kube/client/known_servers.h"
#include "kube/client/watch.h"
#include "network/object_source.h"

namespace keelson::network {
namespace {

// As kube-proxy asks: what another proxy serves, and what nobody does, does not even come over the wire.
constexpr const char* kOurs = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name";
// A node's own user may not watch slices.
constexpr const char* kNoRight =
    "; role network needs the rights of ClusterRole system:node-proxier: bind them to this user, or give "
    "--network-kubeconfig with one that has them";
constexpr const char* kChangeTime = "endpoints.kubernetes.io/last-change-trigger-time";

std::vector<std::string> names_of(std::vector<kube::RemovedObject> removed) {
  std::vector<std::string> names;
  names.reserve(removed.size());
  for (auto& gone : removed) {
    names.push_back(std::move(gone.name));
  }
  return names;
}

class Api : public ObjectSource {
 public:
  Api(Loop& loop, kube::ClusterAccess access, ApiSourceOptions options)
      : options_(std::move(options)),
        client_(loop, std::move(access)),
        servers_(options_.servers_file),
        services_(client_, {.label_selector = kOurs}, services_consumer()),
        slices_(client_, {.label_selector = kOurs, .annotations = {kChangeTime}}, slices_consumer()),
        nodes_(client_, {.field_selector = options_.all_nodes ? "" : "metadata.name=" + options_.node_name},
               nodes_consumer()) {
    if (auto remembered = servers_.load(); !remembered) {
      log::warning("{}", remembered.error().message());
    } else {
      client_.set_other_servers(*remembered);
    }
  }

  Task<> run(std::function<void(ObjectBatch)> take) override {
    take_ = std::move(take);
    using namespace asio::experimental::awaitable_operators;
    auto ended = co_await (services_.run() || slices_.run() || nodes_.run());
    KEELSON_CO_DO(co_await client_.close());
    co_return std::visit([](auto& result) { return std::move(result); }, ended);
  }

  void collect(Stats& stats) const override { client_.collect(stats); }
  std::string trouble() const override {
    return services_.healthy() && slices_.healthy() && nodes_.healthy() ? "" : trouble_;
  }

 private:
  enum Kinds { kServices = 1, kSlices = 2, kNodes = 4, kAll = 7 };

  void tell(ObjectBatch batch) {
    if (told_ == kAll && trouble().empty() && !std::exchange(trouble_, "").empty()) {
      log::info("the API server answers");
    }
    batch.synced = told_ == kAll;
    take_(std::move(batch));
  }
  /// One line when it begins, not one for each attempt; how often it is tried is for those who debug.
  void failed(const Error& error, Duration wait) {
    auto text = error.message() + (error.kind() == Kind::permission ? kNoRight : "");
    if (trouble() != text) {
      log::warning("{}; what was known stays in force, trying again", text);
    }
    log::debug("{}: again in {} ms", text, wait / std::chrono::milliseconds(1));
    trouble_ = std::move(text);
  }

  kube::WatchConsumer<kube::Service> services_consumer() {
    return {.synced =
                [this](std::vector<kube::Service> all) {
                  told_ |= kServices;
                  tell({.objects = {.services = std::move(all), .all_services = true}});
                },
            .changed =
                [this](kube::Changes<kube::Service> changes) {
                  tell({.objects = {.services = std::move(changes.changed),
                                    .removed_services = names_of(std::move(changes.removed))}});
                },
            .failed = [this](const Error& error, Duration wait) { failed(error, wait); },
            .left_out = [](const kube::LeftOut& what) { log::warning("service left out: {}", what); }};
  }

  kube::WatchConsumer<kube::EndpointSlice> slices_consumer() {
    return {.synced =
                [this](std::vector<kube::EndpointSlice> all) {
                  learned(servers_.synced(all));
                  told_ |= kSlices;
                  tell({.objects = {.slices = std::move(all), .all_slices = true}});
                },
            .changed =
                [this](kube::Changes<kube::EndpointSlice> changes) {
                  learned(servers_.changed(changes));
                  tell({.objects = {.slices = std::move(changes.changed),
                                    .removed_slices = names_of(std::move(changes.removed))}});
                },
            .failed = [this](const Error& error, Duration wait) { failed(error, wait); },
            .left_out = [](const kube::LeftOut& what) { log::warning("endpoint slice left out: {}", what); }};
  }

  kube::WatchConsumer<kube::Node> nodes_consumer() {
    return {
        .synced =
            [this](std::vector<kube::Node> all) {
              told_ |= kNodes;
              tell({.nodes = {.changed = std::move(all), .removed = {}, .all = true}});
            },
        .changed =
            [this](kube::Changes<kube::Node> changes) {
              tell({.nodes = {.changed = std::move(changes.changed), .removed = names_of(std::move(changes.removed))}});
            },
        .failed = [this](const Error& error, Duration wait) { failed(error, wait); },
        .left_out = [](const kube::LeftOut& what) { log::warning("node left out: {}", what); }};
  }

  /// Where the API servers are.
  void learned(const Result<bool>& changed) {
    if (!changed) {
      log::warning("{}; the addresses of the API servers are not remembered over a restart", changed.error().message());
    } else if (*changed) {
      client_.set_other_servers(servers_.servers());
    }
  }

  ApiSourceOptions options_;
  kube::Client client_;
  kube::KnownServers servers_;
  std::function<void(ObjectBatch)> take_;
  int told_ = 0;
  std::string trouble_ = "not asked yet";
  kube::Watch<kube::Service> services_;
  kube::Watch<kube::EndpointSlice> slices_;
  kube::Watch<kube::Node> nodes_;
};

}  // namespace

Result<std::unique_ptr<ObjectSource>> api_source(Loop& loop, ApiSourceOptions options) {
  auto access = options.kubeconfig.empty() ? kube::in_cluster_access() : kube::load_kubeconfig(options.kubeconfig);
  if (!access) {
    return std::unexpected(access.error());
  }
  if (!options.client_certificate.empty()) {
    access->credentials->prefer_certificate(options.client_certificate);
  }
  return std::make_unique<Api>(loop, *std::move(access), std::move(options));
}

}  // namespace keelson::network
