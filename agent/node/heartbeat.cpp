// SPDX-License-Identifier: Apache-2.0
#include "agent/node/heartbeat.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <thread>

#include "agent/node/bootstrap.h"
#include "agent/node/cluster_certificate.h"
#include "agent/node/name_lookup.h"
#include "agent/node/node_addresses.h"
#include "common/fd.h"
#include "common/host_addresses.h"
#include "common/log.h"
#include "common/task_group.h"
#include "cri/client/client.h"

namespace keelson::agent {

namespace {

constexpr std::chrono::seconds kSourceDeadline{5};

uint64_t any_seed() {
  return (uint64_t{std::random_device{}()} << 32) | std::random_device{}();
}

Result<kube::ClusterAccess> access_of(const HeartbeatOptions& options) {
  const auto& certificates = options.certificates;
  return node_access(options.kubeconfig,
                     certificates.rotate_client ? client_certificate_file(certificates.cert_dir) : "");
}

/// A loop with a client of its own, and a thread that runs it until the object goes.
class Member {
 public:
  Member(const char* name, kube::ClusterAccess access, const HeartbeatOptions& options)
      : loop_(real_clock(), name),
        stats_(options.stats),
        client_(loop_, std::move(access), {.stats = stats_->requests()}),
        api_(client_),
        tasks_(loop_) {
    client_.set_other_servers(options.other_servers);
  }
  virtual ~Member() = default;
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

 protected:
  void spawn(std::string name, Task<> task) { tasks_.spawn(std::move(name), std::move(task)); }
  void start() {
    thread_ = std::jthread([this] { loop_.run(); });
  }
  virtual Task<> close_more() { co_return Result<>(); }
  /// To be called by the destructor of what derives, while its members still are.
  void stop() {
    loop_.post([this] { stopping_.spawn("stop", close()); });
    thread_.join();
  }

  Loop loop_;
  const std::shared_ptr<NodeStats> stats_;
  kube::Client client_;
  ClientApi api_;

 private:
  Task<> close() {
    KEELSON_CO_DO(co_await tasks_.close());
    KEELSON_CO_DO(co_await close_more());
    KEELSON_CO_DO(co_await client_.close());
    loop_.stop();
    co_return Result<>();
  }

  TaskGroup tasks_;
  TaskGroup stopping_{loop_};
  std::jthread thread_;
};

class LeaseMember : public Member {
 public:
  LeaseMember(kube::ClusterAccess access, const HeartbeatOptions& options)
      : Member("kl-lease", std::move(access), options),
        renewer_(loop_, api_,
                 {.node = options.registrar.settings.name, .duration = options.lease_duration, .seed = any_seed()}) {
    spawn("lease", renewer_.run());
    start();
  }
  ~LeaseMember() override { stop(); }

 private:
  LeaseRenewer renewer_;
};

/// This machine and its runtime, each asked within a deadline.
class OwnSources : public NodeSources {
 public:
  OwnSources(Loop& loop, const HeartbeatOptions& options)
      : loop_(loop),
        state_dir_(options.state_dir),
        rules_({.node_name = options.registrar.settings.name, .given = options.registrar.settings.node_ip}),
        name_(loop, rules_.node_name),
        runtime_(
            cri::connect_runtime(loop, options.runtime_socket, options.stats->runtime_calls(), options.image_socket)) {}

  /// On another thread: the disk may be slow, or a file system of another machine that is gone.
  Task<Machine> machine() override { co_return co_await with_deadline<Machine>(loop_, kSourceDeadline, read()); }
  Task<std::vector<std::string>> addresses() override {
    std::vector<std::string> named;
    if (specified_addresses(rules_.given).empty()) {
      KEELSON_CO_TRY(named, co_await name_.addresses());
    }
    co_return node_addresses(rules_, {.look_up = [&named](const std::string&) { return named; },
                                      .own = [] { return own_addresses(); },
                                      .of_default_route = address_of_default_route});
  }
  Task<cri::RuntimeStatus> runtime_status() override { return runtime_->status(kSourceDeadline); }
  Task<cri::RuntimeVersion> runtime_version() override { return runtime_->version(kSourceDeadline); }
  Task<std::vector<cri::Image>> images() override { return runtime_->list_images(kSourceDeadline); }

 private:
  /// One look at a time: where one hangs, the next would only stand behind it, and one more each time.
  Task<Machine> read() {
    if (looking_->exchange(true)) {
      co_return fail(Kind::timeout, "the disk of {} has not answered since an earlier look", state_dir_);
    }
    auto look = [folder = state_dir_, looking = looking_]() -> Result<Machine> {
      auto machine = read_machine("", folder);
      *looking = false;
      return machine;
    };
    co_return co_await blocking(disk_, std::move(look));
  }

  Loop& loop_;
  const std::string state_dir_;
  const AddressRules rules_;
  NameLookup name_;
  std::unique_ptr<cri::RuntimeClient> runtime_;
  const std::shared_ptr<std::atomic<bool>> looking_ = std::make_shared<std::atomic<bool>>(false);
  asio::thread_pool disk_{1};
};

/// The names and addresses that a server here is reached by.
CertificateSubject names_of(const std::vector<kube::NodeAddress>& addresses) {
  CertificateSubject subject;
  for (const auto& address : addresses) {
    auto& list = address.type == "InternalIP" || address.type == "ExternalIP" ? subject.ips : subject.dns_names;
    if (std::ranges::find(list, address.address) == list.end()) {
      list.push_back(address.address);
    }
  }
  return subject;
}

class NodeMember : public Member {
 public:
  /// `bootstrap`: who asks for the first certificate.
  NodeMember(kube::ClusterAccess access, std::optional<kube::ClusterAccess> bootstrap, HeartbeatOptions options)
      : Member("kl-node", std::move(access), options),
        sources_(loop_, options),
        board_(options.board),
        registrar_(loop_, api_, sources_, completed(options)) {
    if (board_ != nullptr) {
      board_->listen([this] { loop_.post([this] { registrar_.look_now(); }); });
    }
    if (bootstrap) {
      bootstrap_api_.emplace(
          bootstrap_client_.emplace(loop_, *std::move(bootstrap), kube::ClientOptions{.stats = stats_->requests()}));
    }
    order_certificates(options.certificates, options.kubeconfig, options.registrar.settings.name);
    spawn("node", registrar_.run());
    start();
  }
  ~NodeMember() override {
    if (board_ != nullptr) {
      board_->listen({});
    }
    stop();
  }

 private:
  static RegistrarOptions completed(const HeartbeatOptions& options) {
    auto registrar = options.registrar;
    registrar.seed = any_seed();
    registrar.board = options.board;
    registrar.startup = &options.stats->startup();
    return registrar;
  }

  void order_certificates(const NodeCertificateOptions& options, const std::string& kubeconfig,
                          const std::string& node) {
    if (options.rotate_client) {
      auto order = client_certificate(options.cert_dir, node);
      order.seed = any_seed();
      order.first = certificate_of_user(kubeconfig).value_or("");
      order.stats = &stats_->client_certificate();
      client_certificate_.emplace(loop_, api_, bootstrap_api_ ? &*bootstrap_api_ : nullptr, std::move(order));
      spawn("client certificate", client_certificate_->run());
    }
    if (options.order_serving) {
      auto order = serving_certificate(options.cert_dir, node, [this] { return names_of(registrar_.addresses()); });
      order.seed = any_seed();
      order.stats = &stats_->serving_certificate();
      serving_certificate_.emplace(loop_, api_, nullptr, std::move(order));
      spawn("serving certificate", serving_certificate_->run());
    }
  }

  Task<> close_more() override {
    if (bootstrap_client_) {
      KEELSON_CO_DO(co_await bootstrap_client_->close());
    }
    co_return Result<>();
  }

  OwnSources sources_;
  NodeBoard* const board_;
  NodeRegistrar registrar_;
  std::optional<kube::Client> bootstrap_client_;
  std::optional<ClientApi> bootstrap_api_;
  std::optional<ClusterCertificate> client_certificate_;
  std::optional<ClusterCertificate> serving_certificate_;
};

class Threads : public Heartbeat {
 public:
  Threads(kube::ClusterAccess lease, kube::ClusterAccess node, std::optional<kube::ClusterAccess> bootstrap,
          const HeartbeatOptions& options)
      : lease_(std::move(lease), options), node_(std::move(node), std::move(bootstrap), options) {}

 private:
  LeaseMember lease_;
  NodeMember node_;
};

/// Makes the folder and the kubeconfig where they are wanted. `certificates` is what will be done.
Result<std::optional<kube::ClusterAccess>> prepare_cluster_files(const std::string& kubeconfig,
                                                                 NodeCertificateOptions& certificates) {
  const auto file = client_certificate(certificates.cert_dir, "").file;
  if (certificates.rotate_client || certificates.order_serving || !certificates.bootstrap_kubeconfig.empty()) {
    KEELSON_DO(make_directories(certificates.cert_dir, 0755));
  }
  if (!certificates.bootstrap_kubeconfig.empty()) {
    KEELSON_DO(ensure_kubeconfig(kubeconfig, certificates.bootstrap_kubeconfig, file));
    certificates.rotate_client = true;
  }
  if (certificates.rotate_client && !certificate_of_user(kubeconfig)) {
    log::info("there is no client certificate to renew: the user of {} has none", kubeconfig);
    certificates.rotate_client = false;
  }
  if (certificates.bootstrap_kubeconfig.empty() || !names_certificate(kubeconfig, file)) {
    return std::nullopt;
  }
  KEELSON_TRY(auto access, kube::load_kubeconfig(certificates.bootstrap_kubeconfig).context("bootstrapKubeconfig"));
  return access;
}

}  // namespace

std::string client_certificate_file(const std::string& cert_dir) {
  return client_certificate(cert_dir, "").file;
}

Result<kube::ClusterAccess> node_access(const std::string& kubeconfig, const std::string& rotated) {
  if (kubeconfig == "in-cluster") {
    return kube::in_cluster_access();
  }
  KEELSON_TRY(auto access, kube::load_kubeconfig(kubeconfig));
  if (!rotated.empty() && certificate_of_user(kubeconfig)) {
    access.credentials->prefer_certificate(rotated);
  }
  return access;
}

std::string serving_certificate_file(const std::string& cert_dir) {
  return serving_certificate(cert_dir, "", {}).file;
}

Result<> Heartbeat::prepare(const HeartbeatOptions& options) {
  auto certificates = options.certificates;
  if (!certificates.bootstrap_kubeconfig.empty()) {
    KEELSON_DO(prepare_cluster_files(options.kubeconfig, certificates));
  }
  return {};
}

Result<std::unique_ptr<Heartbeat>> Heartbeat::start(HeartbeatOptions options) {
  KEELSON_TRY(auto bootstrap, prepare_cluster_files(options.kubeconfig, options.certificates));
  // Read twice: what holds credentials belongs to one thread.
  KEELSON_TRY(auto lease, access_of(options));
  KEELSON_TRY(auto node, access_of(options));
  return std::make_unique<Threads>(std::move(lease), std::move(node), std::move(bootstrap), options);
}

}  // namespace keelson::agent
