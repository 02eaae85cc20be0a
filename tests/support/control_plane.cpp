// SPDX-License-Identifier: Apache-2.0
// control_plane.h: command lines and their files.
#include "tests/support/control_plane.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

namespace keelson::testing {

namespace fs = std::filesystem;

namespace {

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

std::string peer_program(const std::string& name) {
  auto peers = environment("KEELSON_PEERS");
  if (peers.empty()) {
    auto cache = environment("XDG_CACHE_HOME");
    peers = (cache.empty() ? environment("HOME") + "/.cache" : cache) + "/keelson/peers";
  }
  auto program = peers + "/" + name;
  return fs::exists(program) ? program : "";
}

std::string kubernetes_program() {
  return peer_program("kubernetes-1.34.4/kubernetes");
}

void enter_node_network(const std::string& address) {
  ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"ip", "link", "set", "lo", "up"},
           {"ip", "link", "add", "node0", "type", "veth", "peer", "name", "node0-peer"},
           {"ip", "address", "add", address + "/24", "dev", "node0"},
           {"ip", "link", "set", "node0", "up"},
           {"ip", "link", "set", "node0-peer", "up"},
           {"ip", "route", "add", "default", "dev", "node0"}}) {
    auto done = run(command);
    ASSERT_EQ(done.code, 0) << done.error;
  }
}

ControlPlane::ControlPlane(std::string home, std::string node, Parts parts)
    : home_(std::move(home)), node_(std::move(node)), parts_(parts), program_(kubernetes_program()) {
  fs::create_directories(home_);
}

std::string ControlPlane::write_kubeconfig(const std::string& name, const std::string& token) const {
  auto path = home_ + "/" + name;
  std::ofstream(path) << fmt::format(R"(apiVersion: v1
kind: Config
clusters: [{{name: cluster, cluster: {{server: "{}", certificate-authority: "{}"}}}}]
users: [{{name: user, user: {{token: {}}}}}]
contexts: [{{name: context, context: {{cluster: cluster, user: user}}}}]
current-context: context
)",
                                     kApiServer, authority_file(), token);
  return path;
}

std::string ControlPlane::add_node(const std::string& name) {
  more_tokens_ += fmt::format("{0}-token,system:node:{0},{0},system:nodes\n", name);
  return write_kubeconfig(name + ".conf", name + "-token");
}

std::string ControlPlane::write_audit_policy() const {
  auto path = home_ + "/audit-policy.yaml";
  std::ofstream(path) << R"(apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: Metadata, userGroups: ["system:nodes"]}
- {level: Metadata, users: ["system:kube-proxy"]}
- {level: None}
)";
  return path;
}

void ControlPlane::write_certificates() {
  std::ofstream(authority_file()) << authority_.certificate();
  std::ofstream(home_ + "/ca.key") << authority_.key();
  auto write = [&](const std::string& name, const TestCertificate& issued) {
    std::ofstream(home_ + "/" + name + ".crt") << issued.certificate;
    std::ofstream(home_ + "/" + name + ".key") << issued.key;
  };
  write("kube-apiserver", authority_.issue("kube-apiserver", "", "IP:10.96.0.1"));
  write("front-proxy", authority_.issue("front-proxy-client"));
  write("kubelet-client", authority_.issue("kube-apiserver-kubelet-client", "system:masters"));
}

void ControlPlane::start() {
  write_certificates();
  write_kubeconfig("admin.conf", kAdminToken);
  write_kubeconfig("node.conf", "node-token");
  write_kubeconfig("proxy.conf", "proxy-token");
  write_kubeconfig("bootstrap.conf", "bootstrap-token");
  std::ofstream(home_ + "/tokens.csv") << fmt::format(
      "{},admin,1,system:masters\nnode-token,system:node:{},2,system:nodes\n"
      "bootstrap-token,system:bootstrap:test,3,system:bootstrappers\nproxy-token,system:kube-proxy,4\n{}",
      kAdminToken, node_, more_tokens_);
  const auto key = home_ + "/service-account.key";
  ASSERT_EQ(run({"openssl", "genrsa", "-out", key, "2048"}).code, 0);
  etcd_ = Background({program_, "etcd", "--data-dir", home_ + "/etcd", "--unsafe-no-fsync", "--listen-client-urls",
                      "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls",
                      "http://127.0.0.1:2380"},
                     home_ + "/etcd.log");
  start_api_server();
  // The API server makes it once it is ready itself.
  wait_for({"get", "service", "kubernetes", "-o", "name"}, "service/kubernetes\n", api_server_,
           home_ + "/kube-apiserver.log");
  if (parts_ == Parts::all) {
    start_controllers();
  }
}

void ControlPlane::kill_api_server() {
  api_server_.kill();
}

void ControlPlane::start_api_server() {
  const auto key = home_ + "/service-account.key";
  std::vector<std::string> command = {program_,
                                      "kube-apiserver",
                                      "--etcd-servers=http://127.0.0.1:2379",
                                      "--client-ca-file=" + authority_file(),
                                      "--tls-cert-file=" + home_ + "/kube-apiserver.crt",
                                      "--tls-private-key-file=" + home_ + "/kube-apiserver.key",
                                      "--kubelet-client-certificate=" + kubelet_client_certificate_file(),
                                      "--kubelet-client-key=" + kubelet_client_key_file(),
                                      "--requestheader-client-ca-file=" + authority_file(),
                                      "--requestheader-allowed-names=front-proxy-client",
                                      "--requestheader-username-headers=X-Remote-User",
                                      "--requestheader-group-headers=X-Remote-Group",
                                      "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                                      "--proxy-client-cert-file=" + home_ + "/front-proxy.crt",
                                      "--proxy-client-key-file=" + home_ + "/front-proxy.key",
                                      "--enable-aggregator-routing",
                                      "--service-cluster-ip-range=10.96.0.0/16,fd96::/108",
                                      "--service-account-issuer=https://kubernetes.default.svc",
                                      "--service-account-key-file=" + key,
                                      "--service-account-signing-key-file=" + key,
                                      "--token-auth-file=" + home_ + "/tokens.csv",
                                      "--authorization-mode=Node,RBAC",
                                      "--enable-admission-plugins=NodeRestriction",
                                      "--secure-port=6443",
                                      "--feature-gates=ImageVolume=true",
                                      "--kubelet-preferred-address-types=InternalIP"};
  if (parts_ == Parts::api) {
    command.insert(command.end(), {"--bind-address=127.0.0.1", "--endpoint-reconciler-type=none",
                                   "--disable-admission-plugins=ServiceAccount"});
  }
  if (audits_) {
    command.insert(command.end(), {"--audit-policy-file=" + write_audit_policy(), "--audit-log-path=" + audit_log()});
  }
  const auto log = home_ + "/kube-apiserver.log";
  api_server_ = Background(command, log);
  wait_for({"get", "--raw", "/readyz"}, "ok", api_server_, log);
}

void ControlPlane::start_controllers() {
  const auto log = home_ + "/kube-controller-manager.log";
  controllers_ =
      Background({program_, "kube-controller-manager", "--kubeconfig=" + admin_kubeconfig(), "--leader-elect=false",
                  "--use-service-account-credentials", "--bind-address=127.0.0.1", "--pvclaimbinder-sync-period=2s",
                  "--cert-dir=" + home_ + "/kube-controller-manager", "--root-ca-file=" + authority_file(),
                  "--service-account-private-key-file=" + home_ + "/service-account.key",
                  "--cluster-signing-cert-file=" + authority_file(), "--cluster-signing-key-file=" + home_ + "/ca.key"},
                 log);
  scheduler_ = Background({program_, "kube-scheduler", "--kubeconfig=" + admin_kubeconfig(), "--leader-elect=false",
                           "--bind-address=127.0.0.1", "--cert-dir=" + home_ + "/kube-scheduler"},
                          home_ + "/kube-scheduler.log");
  wait_for({"get", "serviceaccount", "default", "-o", "name"}, "serviceaccount/default\n", controllers_, log);
}

void ControlPlane::wait_for(const std::vector<std::string>& arguments, const std::string& answer, Background& program,
                            const std::string& log) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (kubectl(arguments).out != answer) {
    ASSERT_TRUE(program.alive() && std::chrono::steady_clock::now() < end)
        << run({"tail", "-n", "5", log, home_ + "/etcd.log"}).out;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

std::vector<std::string> ControlPlane::kubectl_command(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command = {program_, "kubectl", "--kubeconfig", admin_kubeconfig()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

Output ControlPlane::kubectl(const std::vector<std::string>& arguments, const std::string& input) {
  auto command = kubectl_command(arguments);
  command.insert(command.begin(), {"timeout", "90"});
  return run(command, input);
}

std::string ControlPlane::events_of(const std::string& object) {
  return kubectl({"get", "events", "-A", "--field-selector", "involvedObject.name=" + object, "-o",
                  "jsonpath={range .items[*]}{.type} {.reason} {.message}\n{end}"})
      .out;
}

::testing::AssertionResult ControlPlane::has_event(const std::string& object, const std::string& part) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::string events;
  do {
    events = events_of(object);
    if (events.find(part) != std::string::npos) {
      return ::testing::AssertionSuccess();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  } while (std::chrono::steady_clock::now() < end);
  return ::testing::AssertionFailure() << "no \"" << part << "\" among the events of " << object << ":\n" << events;
}

void ControlPlaneWithFiles::operator()(ControlPlane* plane) const {
  const std::string home = plane->home_;
  delete plane;
  fs::remove_all(home);
}

OwnControlPlane start_control_plane(const std::string& node, const std::string& address, ControlPlane::Parts parts) {
  if (::geteuid() != 0 || kubernetes_program().empty()) {
    return nullptr;
  }
  enter_node_network(address);
  std::string home = "/tmp/keelson-control-plane-XXXXXX";
  OwnControlPlane plane(new ControlPlane(::mkdtemp(home.data()), node, parts));
  plane->start();
  return plane;
}

}  // namespace keelson::testing
