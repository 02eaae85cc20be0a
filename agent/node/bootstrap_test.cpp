// SPDX-License-Identifier: Apache-2.0
// The kubeconfig that a node gets from its bootstrap kubeconfig.
#include "agent/node/bootstrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/fd.h"
#include "kube/client/kubeconfig.h"
#include "tests/support/certificates.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class BootstrapTest : public ::testing::Test {
 protected:
  BootstrapTest() {
    std::ofstream(dir_ + "/ca.crt") << authority_.certificate();
    std::ofstream(bootstrap_) << R"(apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443", certificate-authority: ca.crt}}]
users: [{name: u, user: {token: canary-secret}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
)";
  }
  ~BootstrapTest() override { fs::remove_all(dir_); }

  static std::string make_folder() {
    std::string pattern = "/tmp/keelson-bootstrap-XXXXXX";
    return ::mkdtemp(pattern.data());
  }

  const std::string dir_ = make_folder();
  testing::TestAuthority authority_;
  const std::string bootstrap_ = dir_ + "/bootstrap.conf";
  const std::string kubeconfig_ = dir_ + "/etc/node.conf";
  const std::string certificate_ = dir_ + "/pki/kubelet-client-current.pem";
};

TEST_F(BootstrapTest, NamesTheClusterAndTheCertificateToCome) {
  const auto written = ensure_kubeconfig(kubeconfig_, bootstrap_, certificate_);
  ASSERT_TRUE(written) << written.error().message();
  EXPECT_TRUE(names_certificate(kubeconfig_, certificate_));
  EXPECT_FALSE(names_certificate(kubeconfig_, "/other.pem"));
  EXPECT_FALSE(names_certificate(bootstrap_, certificate_));
  const auto access = kube::load_kubeconfig(kubeconfig_);
  ASSERT_TRUE(access) << access.error().message();
  EXPECT_EQ(access->server, (kube::ServerAddress{"10.0.0.1", 6443}));
  EXPECT_EQ(access->ca_pem, authority_.certificate());
  EXPECT_EQ(access->credentials->get().error().kind(), Kind::not_found) << "it is still to come";
  EXPECT_THAT(*read_file(kubeconfig_), Not(HasSubstr("canary-secret")));
  struct stat about{};
  ASSERT_EQ(::stat(kubeconfig_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);

  const auto issued = authority_.issue("system:node:n1");
  fs::create_directory(dir_ + "/pki");
  std::ofstream(certificate_) << issued.certificate << issued.key;
  const auto credential = access->credentials->get();
  ASSERT_TRUE(credential) << credential.error().message();
  EXPECT_THAT(credential->certificate_pem, HasSubstr(issued.certificate));
  EXPECT_THAT(credential->key_pem, HasSubstr(issued.key));
}

TEST_F(BootstrapTest, WhatIsThereStays) {
  fs::create_directory(dir_ + "/etc");
  std::ofstream(kubeconfig_) << "mine";
  EXPECT_TRUE(ensure_kubeconfig(kubeconfig_, bootstrap_, certificate_));
  EXPECT_EQ(*read_file(kubeconfig_), "mine");
  EXPECT_FALSE(names_certificate(kubeconfig_, certificate_));
}

TEST_F(BootstrapTest, WrongOnesAreSaid) {
  EXPECT_EQ(ensure_kubeconfig(kubeconfig_, dir_ + "/absent", certificate_).error().kind(), Kind::not_found);
  std::ofstream(bootstrap_) << "apiVersion: v1\nkind: Config\ncurrent-context: x\n";
  EXPECT_THAT(ensure_kubeconfig(kubeconfig_, bootstrap_, certificate_).error().message(),
              HasSubstr("current-context names no cluster"));
  EXPECT_FALSE(fs::exists(kubeconfig_));
}

}  // namespace
}  // namespace keelson::agent
