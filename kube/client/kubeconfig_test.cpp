// SPDX-License-Identifier: Apache-2.0
// Kubeconfig files, good and bad; credentials that change under us.
#include "kube/client/kubeconfig.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/atomic_file.h"
#include "common/fd.h"
#include "tests/support/certificates.h"

namespace keelson::kube {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class KubeconfigTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_directories(folder_)); }
  void TearDown() override { ASSERT_TRUE(remove_tree(folder_)); }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    EXPECT_TRUE(write_file_atomic(folder_ + "/" + name, text, mode));
    return folder_ + "/" + name;
  }
  std::string config(const std::string& cluster, const std::string& user) {
    return write("config",
                 fmt::format("apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{{}}}}}]\nusers: "
                             "[{{name: u, user: {{{}}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: "
                             "u, namespace: d}}}}]\ncurrent-context: x\npreferences: {{}}\n",
                             cluster, user));
  }
  std::string error_of(const std::string& cluster, const std::string& user) {
    auto access = load_kubeconfig(config(cluster, user));
    return access ? "fine" : access.error().message();
  }
  /// A plugin that counts its runs, and prints `out`.
  std::string plugin(const std::string& out) {
    return write("plugin",
                 "#!/bin/sh\necho run >> " + folder_ + "/runs\necho \"$KUBERNETES_EXEC_INFO\" > " + folder_ +
                     "/info\ncat <<END\n" + out + "\nEND\n",
                 0700);
  }
  size_t runs() {
    auto text = read_file(folder_ + "/runs");
    return text ? text->size() / 4 : 0;
  }

  const std::string folder_ = ::testing::TempDir() + "/kubeconfig-" + std::to_string(::getpid());
  const std::string good_ = "server: https://10.0.0.1:6443";
};

TEST_F(KubeconfigTest, AllThatAFileMaySay) {
  testing::TestAuthority authority;
  write("ca.crt", authority.certificate());
  auto access = load_kubeconfig(
      config("server: 'https://[fd00::1]:6443/k8s/', tls-server-name: api, certificate-authority: ca.crt",
             "tokenFile: token"));
  ASSERT_TRUE(access) << access.error().message();
  EXPECT_EQ(access->server, (ServerAddress{"fd00::1", 6443}));
  EXPECT_EQ(to_string(access->server), "[fd00::1]:6443");
  EXPECT_EQ(access->prefix, "/k8s");
  EXPECT_EQ(access->tls_name, "api");
  EXPECT_EQ(access->ca_pem, authority.certificate());
  EXPECT_TRUE(access->verify);
  // The token's file appears, and changes.
  EXPECT_THAT(access->credentials->get().error().message(), HasSubstr("tokenFile"));
  write("token", "one\n");
  EXPECT_EQ(access->credentials->get()->token, "one");
  write("token", "two");
  EXPECT_EQ(access->credentials->get()->token, "two");
  ::unlink((folder_ + "/token").c_str());
  EXPECT_EQ(access->credentials->get()->token, "two") << "better an old one than none";
}

TEST_F(KubeconfigTest, BytesInTheFile) {
  const auto certificate = testing::TestAuthority().issue("node");
  write("client.crt", certificate.certificate);
  auto access = load_kubeconfig(
      config(good_ + ", insecure-skip-tls-verify: true", "client-certificate: client.crt, client-key-data: S0VZ"));
  ASSERT_TRUE(access) << access.error().message();
  EXPECT_FALSE(access->verify);
  EXPECT_EQ(access->credentials->get()->certificate_pem, certificate.certificate);
  EXPECT_EQ(access->credentials->get()->key_pem, "KEY");
}

TEST_F(KubeconfigTest, ErrorsNameTheFieldAndNoSecret) {
  EXPECT_THAT(error_of(good_ + ", proxy-url: 'http://p'", ""), HasSubstr("clusters[c].cluster: proxy-url: a node"));
  EXPECT_THAT(error_of("server: 10.0.0.1:6443", ""), HasSubstr("clusters[c].cluster: server: expected a URL"));
  EXPECT_THAT(error_of("server: 'https://u:hush@h'", ""), Not(HasSubstr("hush")));
  EXPECT_THAT(error_of(good_ + ", certificate-authority-data: '*'", ""),
              HasSubstr("line 3: clusters[0].cluster.certificate-authority-data: not valid base64"));
  EXPECT_THAT(error_of(good_ + ", certificate-authority: nowhere.crt", ""), HasSubstr("certificate-authority: "));
  EXPECT_THAT(error_of(good_, "tokne: hush"), HasSubstr("users[0].user.tokne: unknown field; did you mean \"token\"?"));
  EXPECT_THAT(error_of(good_, "tokne: hush"), Not(HasSubstr("hush")));
  EXPECT_THAT(error_of(good_, "token: 12345678"), HasSubstr("users[0].user.token: expected a string, got an integer"));
  EXPECT_THAT(error_of(good_, "token: 12345678"), Not(HasSubstr("12345678")));
  EXPECT_THAT(error_of(good_, "password: hush, username: a"), HasSubstr("users[u].user: username: not for a node"));
  EXPECT_THAT(error_of(good_, "client-certificate: a"), HasSubstr("users[u].user: client-key: Required value"));
  EXPECT_THAT(error_of("server: 'http://127.0.0.1:8001'", "token: hush"), HasSubstr("never sent to an http:// server"));
  EXPECT_THAT(error_of(good_, "exec: {apiVersion: v9, command: a}"), HasSubstr("exec.apiVersion: expected client."));
  EXPECT_THAT(
      error_of(good_, "exec: {apiVersion: client.authentication.k8s.io/v1, command: a, interactiveMode: Always}"),
      HasSubstr("exec.interactiveMode: a node has no terminal"));
  EXPECT_THAT(load_kubeconfig(config(good_, ""), "other").error().message(),
              HasSubstr("context: there is no \"other\" in contexts"));
  EXPECT_EQ(load_kubeconfig(folder_ + "/none").error().kind(), Kind::not_found);
  EXPECT_EQ(error_of("server: 'http://127.0.0.1:8001'", ""), "fine");
}

TEST_F(KubeconfigTest, APluginRunsAgainWhenItsCredentialHasExpired) {
  plugin(R"({"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t",)"
         R"("expirationTimestamp":"2023-11-14T22:23:20Z"}})");
  FakeClock clock;  // 22:13:20
  const auto path = config(good_,
                           "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, "
                           "interactiveMode: Never, provideClusterInfo: true}");
  auto loaded = load_kubeconfig(path, "", clock);
  ASSERT_TRUE(loaded) << loaded.error().message();
  auto& credentials = *loaded->credentials;
  ASSERT_TRUE(credentials.get()) << credentials.get().error().message();
  EXPECT_EQ(credentials.get()->token, "t");
  EXPECT_EQ(runs(), 1U);
  EXPECT_EQ(*read_file(folder_ + "/info"),
            R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false,)"
            R"("cluster":{"server":"https://10.0.0.1:6443"}}})"
            "\n");
  clock.advance(std::chrono::minutes(9));
  EXPECT_TRUE(credentials.get());
  EXPECT_EQ(runs(), 1U);
  credentials.refused();
  EXPECT_TRUE(credentials.get());
  EXPECT_EQ(runs(), 2U);
  clock.advance(std::chrono::minutes(1));
  EXPECT_TRUE(credentials.get());
  EXPECT_EQ(runs(), 3U);
}

TEST_F(KubeconfigTest, APluginThatFailsIsNamedButNotQuoted) {
  const auto path = config(good_,
                           "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./plugin, "
                           "installHint: get it there}");
  auto error_of_plugin = [&] { return load_kubeconfig(path)->credentials->get().error().message(); };
  EXPECT_THAT(error_of_plugin(), HasSubstr("there is no program"));
  EXPECT_THAT(error_of_plugin(), HasSubstr("get it there"));
  plugin("hush");
  EXPECT_THAT(error_of_plugin(), HasSubstr("plugin: expected a map, got a string"));
  EXPECT_THAT(error_of_plugin(), Not(HasSubstr("hush")));
  plugin(R"({"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"hush"}})");
  EXPECT_THAT(error_of_plugin(), HasSubstr("expected kind ExecCredential of client.authentication.k8s.io/v1beta1"));
  write("plugin", "#!/bin/sh\necho hush >&2\nexit 3\n", 0700);
  EXPECT_THAT(error_of_plugin(), HasSubstr("ended with code 3"));
  EXPECT_THAT(error_of_plugin(), Not(HasSubstr("hush")));
}

TEST_F(KubeconfigTest, WhatEveryPodIsGiven) {
  ::unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_EQ(in_cluster_access(folder_).error().kind(), Kind::not_found);
  ::setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
  ::setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  write("ca.crt", testing::TestAuthority().certificate());
  EXPECT_THAT(in_cluster_access(folder_).error().message(), HasSubstr(folder_ + "/token"));
  write("token", "t");
  auto access = in_cluster_access(folder_);
  ASSERT_TRUE(access) << access.error().message();
  EXPECT_EQ(to_string(access->server), "10.96.0.1:443");
  EXPECT_EQ(access->credentials->get()->token, "t");
}

}  // namespace
}  // namespace keelson::kube
