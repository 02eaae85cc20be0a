// SPDX-License-Identifier: Apache-2.0
// TLS bootstrap by a real signer (kube-controller-manager), and certificates that are renewed while the node runs.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "common/clock.h"
#include "tests/support/member_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

constexpr const char* kRequests = "system:certificates.k8s.io:certificatesigningrequests:";

class BootstrapTest : public MemberTest {
 protected:
  static void SetUpTestSuite() {
    start_cluster(ControlPlane::Parts::all);
    if (!control_plane_) {
      return;
    }
    // As kubeadm binds them.
    bind("bootstrap", "system:node-bootstrapper", "system:bootstrappers");
    bind("approve-bootstrap", std::string(kRequests) + "nodeclient", "system:bootstrappers");
    bind("approve-renewal", std::string(kRequests) + "selfnodeclient", "system:nodes");
  }
  static void bind(const std::string& name, const std::string& role, const std::string& group) {
    const auto done = kubectl({"create", "clusterrolebinding", name, "--clusterrole=" + role, "--group=" + group});
    ASSERT_EQ(done.code, 0) << done.error;
  }
  std::string cert_dir() const { return home() + "/pki"; }
  std::string client_file() const { return cert_dir() + "/kubelet-client-current.pem"; }
  std::string server_file() const { return cert_dir() + "/kubelet-server-current.pem"; }
  /// The one request for a serving certificate is approved.
  void approve_serving() {
    std::string pending;
    wait_until("the serving certificate is asked for", [&] {
      pending = kubectl({"get", "csr", "-o",
                         "jsonpath={.items[?(@.spec.signerName==\"kubernetes.io/kubelet-serving\")]"
                         ".metadata.name}"})
                    .out;
      return !pending.empty();
    });
    ASSERT_EQ(kubectl({"certificate", "approve", pending}).code, 0);
  }
  /// What the kubelet API serves with, if that is the cluster's word: its serial number.
  static std::string served() {
    const auto shown = run({"openssl", "s_client", "-connect", std::string(kAddress) + ":10250", "-CAfile",
                            control_plane_->authority_file(), "-verify_return_error", "-verify_ip", kAddress})
                           .out;
    std::string pem;
    if (const size_t at = shown.find("-----BEGIN CERTIFICATE"); at != std::string::npos) {
      pem = shown.substr(at);
    }
    return pem.empty() ? "" : run({"openssl", "x509", "-noout", "-serial"}, pem).out;
  }
  static std::string shown(const std::string& file, const std::string& what) {
    return run({"openssl", "x509", "-in", file, "-noout", what}).out;
  }
};

TEST_F(BootstrapTest, ANodeWithATokenAloneBecomesAMember) {
  const auto kubeconfig = home() + "/etc/kubelet.conf";
  const std::vector<std::string> flags = {"--bootstrap-kubeconfig",
                                          control_plane_->bootstrap_kubeconfig(),
                                          "--kubeconfig",
                                          kubeconfig,
                                          "--cert-dir",
                                          cert_dir(),
                                          "--node-name",
                                          kNode,
                                          "--server-tls-bootstrap"};
  start_node(flags);
  wait_node_ready();
  wait_until("the Lease is there", [] { return lease_age() < 10s; });
  EXPECT_THAT(shown(client_file(), "-subject"), HasSubstr("O = system:nodes, CN = system:node:member-1"));
  EXPECT_FALSE(fs::exists(cert_dir() + "/kubelet-client.key.tmp"));
  EXPECT_EQ(kubectl({"get", "node", kNode, "--kubeconfig", kubeconfig, "-o", "name"}).out, "node/member-1\n")
      << "the file is a kubeconfig for anybody";

  EXPECT_EQ(served(), "") << "nobody approves servers by himself";
  approve_serving();
  wait_until("the serving certificate is there", [&] { return fs::exists(server_file()); });
  wait_until("it is served", [&] { return served() == shown(server_file(), "-serial"); });
  EXPECT_THAT(run({"openssl", "x509", "-in", server_file(), "-noout", "-ext", "subjectAltName"}).out,
              HasSubstr("DNS:member-1, IP Address:10.250.0.1"));

  const auto certificate = read_text(client_file());
  kill_node();
  start_node(flags);
  wait_node_ready();
  EXPECT_EQ(read_text(client_file()), certificate) << "a good one is not asked for again";
  EXPECT_THAT(whole_log(), Not(HasSubstr("bootstrap-token"))) << "secret";
  EXPECT_THAT(whole_log(), Not(HasSubstr("PRIVATE KEY")));
}

TEST_F(BootstrapTest, ABootstrappedNodeRenewsItsCertificate) {
  fs::create_directories(cert_dir());
  // Nine tenths of its life are over.
  const auto old =
      control_plane_->authority().issue("system:node:member-1", "system:nodes", "", {.from = -1000, .to = 40});
  std::ofstream(client_file()) << old.certificate << old.key;
  const auto kubeconfig = home() + "/kubelet.conf";
  std::ofstream(kubeconfig) << fmt::format(R"(apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{}", certificate-authority: "{}"}}}}]
users: [{{name: u, user: {{client-certificate: "{}", client-key: "{}"}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
)",
                                           kApiServer, control_plane_->authority_file(), client_file(), client_file());
  const auto expiry = real_clock().wall() + 40s;
  start_node({"--kubeconfig", kubeconfig, "--cert-dir", cert_dir(), "--node-name", kNode, "--rotate-certificates"});
  wait_node_ready();
  wait_until("the certificate is another", [&] { return read_text(client_file()) != old.certificate + old.key; });
  wait_until("the old one has expired", [&] { return real_clock().wall() > expiry + 1s; }, 60s);
  const auto renewed = lease("{.spec.renewTime}");
  wait_until("the Lease is renewed", [&] { return lease("{.spec.renewTime}") > renewed; }, 20s);
  EXPECT_EQ(ready(), "True");
}

TEST_F(BootstrapTest, ACertificateInTheKubeconfigIsRenewedToo) {
  const auto old =
      control_plane_->authority().issue("system:node:member-1", "system:nodes", "", {.from = -1000, .to = 30});
  const auto in_base64 = [](const std::string& text) { return run({"base64", "-w0"}, text).out; };
  const auto kubeconfig = home() + "/kubelet.conf";
  std::ofstream(kubeconfig) << fmt::format(R"(apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{}", certificate-authority: "{}"}}}}]
users: [{{name: u, user: {{client-certificate-data: "{}", client-key-data: "{}"}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
)",
                                           kApiServer, control_plane_->authority_file(), in_base64(old.certificate),
                                           in_base64(old.key));
  const auto expiry = real_clock().wall() + 30s;
  const std::vector<std::string> flags = {"--kubeconfig", kubeconfig, "--cert-dir",           cert_dir(),
                                          "--node-name",  kNode,      "--rotate-certificates"};
  start_node(flags);
  wait_node_ready();
  wait_until("it has a certificate of its own", [&] { return fs::exists(client_file()); });
  wait_until("the kubeconfig's has expired", [&] { return real_clock().wall() > expiry + 1s; }, 60s);
  const auto renewed = lease("{.spec.renewTime}");
  wait_until("the Lease is renewed", [&] { return lease("{.spec.renewTime}") > renewed; }, 20s);
  kill_node();
  start_node(flags);
  const auto after = lease("{.spec.renewTime}");
  wait_until("it is a member again", [&] { return lease("{.spec.renewTime}") > after; });
  EXPECT_EQ(ready(), "True");
}

TEST_F(BootstrapTest, TheServingCertificateIsRenewedWhileItServes) {
  fs::create_directories(cert_dir());
  const auto old = control_plane_->authority().issue("system:node:member-1", "system:nodes",
                                                     "DNS:member-1,IP:10.250.0.1", {.from = -1000, .to = 80});
  std::ofstream(server_file()) << old.certificate << old.key;
  const auto before = shown(server_file(), "-serial");
  kubectl({"delete", "csr", "--all"});  // what others have asked for
  join({"--cert-dir", cert_dir(), "--server-tls-bootstrap"});
  wait_node_ready();
  EXPECT_EQ(served(), before);
  const auto pid = node_pid();
  approve_serving();
  wait_until("another one is served", [&] {
    const auto now = served();
    return now != before && !now.empty() && now == shown(server_file(), "-serial");
  });
  EXPECT_EQ(node_pid(), pid);
}

}  // namespace
}  // namespace keelson::testing
