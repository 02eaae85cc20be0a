// SPDX-License-Identifier: Apache-2.0
// Certificates ordered, kept and renewed, through restarts and refusals; on a fake clock, with a signer in memory.
#include "agent/node/cluster_certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <memory>

#include "common/fd.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

/// Keeps what is asked; signs when the test says so, by the asker's own key (whose it is, is not looked at here).
class FakeSigner : public NodeApi {
 public:
  explicit FakeSigner(Loop& loop) : loop_(loop) {}

  Task<std::string> call(kube::Request request, Duration) override {
    if (request.method == "POST") {
      auto asked = kube::decode_certificate_request(request.body);
      if (!asked) {
        co_return std::unexpected(asked.error());
      }
      if (!requests.emplace(asked->metadata.name, *asked).second) {
        co_return fail(Kind::exists, "409");
      }
      co_return request.body;
    }
    const auto found = requests.find(request.path.substr(request.path.rfind('/') + 1));
    if (found == requests.end()) {
      co_return fail(Kind::not_found, "404");
    }
    co_return kube::encode_json(found->second);
  }
  Task<> wait_for_change(std::string path, Duration) override {
    watched = std::move(path);
    co_return co_await loop_.sleep(1min);
  }
  void drop_connection() override {}

  kube::CertificateRequest& newest() { return requests.rbegin()->second; }
  std::map<std::string, kube::CertificateRequest> requests;
  std::string watched;

 private:
  Loop& loop_;
};

class ClusterCertificateTest : public ::testing::Test {
 protected:
  ClusterCertificateTest() {
    log::set_level(log::Level::off);
    std::string pattern = "/tmp/keelson-certificates-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    options_ = client_certificate(dir_, "n1");
  }
  ~ClusterCertificateTest() override {
    stop();
    fs::remove_all(dir_);
  }
  void start() {
    certificate_ = std::make_unique<ClusterCertificate>(loop_, own_, &bootstrap_, options_);
    tasks_ = std::make_unique<TaskGroup>(loop_);
    tasks_->spawn("certificate", certificate_->run());
    loop_.run_until_idle();
  }
  void stop() {
    if (tasks_) {
      tasks_->cancel();
      loop_.run_until_idle();
    }
    tasks_.reset();
    certificate_.reset();
  }
  void advance(Duration by) { loop_.advance(clock_, by); }
  /// The only request of a signer that is not signed yet.
  void sign(FakeSigner& signer, Duration lifetime) {
    for (auto& [name, request] : signer.requests) {
      if (request.certificate_pem.empty()) {
        const auto made = self_sign(text(options_.pending_key), *options_.subject(), clock_.wall(), lifetime);
        ASSERT_TRUE(made) << made.error().message();
        request.certificate_pem = *made;
      }
    }
    advance(1min);
  }
  static std::string text(const std::string& path) { return read_file(path).value_or(""); }

  std::string dir_;
  FakeClock clock_;
  Loop loop_{clock_, "test"};
  FakeSigner own_{loop_};
  FakeSigner bootstrap_{loop_};
  ClusterCertificateOptions options_;
  std::unique_ptr<ClusterCertificate> certificate_;
  std::unique_ptr<TaskGroup> tasks_;
};

TEST_F(ClusterCertificateTest, TheFirstIsAskedByTheBootstrapUser) {
  start();
  ASSERT_EQ(bootstrap_.requests.size(), 1U);
  EXPECT_TRUE(own_.requests.empty());
  const auto& asked = bootstrap_.newest();
  EXPECT_EQ(asked.signer_name, "kubernetes.io/kube-apiserver-client-kubelet");
  EXPECT_THAT(asked.usages, ElementsAre("digital signature", "client auth"));
  EXPECT_THAT(asked.request_pem, HasSubstr("BEGIN CERTIFICATE REQUEST"));
  EXPECT_THAT(bootstrap_.watched, HasSubstr("fieldSelector=metadata.name%3D" + asked.metadata.name));
  advance(1h);
  EXPECT_EQ(bootstrap_.requests.size(), 1U) << "somebody has to approve it";
  EXPECT_FALSE(fs::exists(options_.file));

  sign(bootstrap_, 24h);
  const auto facts = read_certificate(text(options_.file));
  ASSERT_TRUE(facts) << facts.error().message();
  EXPECT_EQ(facts->subject.common_name, "system:node:n1");
  EXPECT_EQ(facts->subject.organization, "system:nodes");
  EXPECT_TRUE(belong_together(text(options_.file), text(options_.file)));
  EXPECT_FALSE(fs::exists(options_.pending_key));
  struct stat about{};
  ASSERT_EQ(::stat(options_.file.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);
}

TEST_F(ClusterCertificateTest, IsRenewedByItselfWithANewKeyBeforeItExpires) {
  start();
  sign(bootstrap_, 10h);
  const auto first = text(options_.file);
  advance(6h);
  EXPECT_TRUE(own_.requests.empty()) << "not before 70 % of its life";
  advance(3h + 50min);
  ASSERT_EQ(own_.requests.size(), 1U) << "before 90 % of it";
  EXPECT_EQ(text(options_.file), first) << "the old one is used until the new one is there";
  sign(own_, 10h);
  EXPECT_NE(text(options_.file), first);
  EXPECT_FALSE(belong_together(first, text(options_.file)));
  EXPECT_EQ(bootstrap_.requests.size(), 1U);
}

TEST_F(ClusterCertificateTest, ARestartGoesOnWithTheSameRequest) {
  start();
  const auto key = text(options_.pending_key);
  stop();
  start();
  EXPECT_EQ(text(options_.pending_key), key);
  EXPECT_EQ(bootstrap_.requests.size(), 1U);
  sign(bootstrap_, 24h);
  EXPECT_TRUE(belong_together(text(options_.file), key));
  stop();
  start();
  advance(1h);
  EXPECT_EQ(bootstrap_.requests.size() + own_.requests.size(), 1U) << "a good one is not asked for again";
}

TEST_F(ClusterCertificateTest, OneThatHasExpiredIsAskedForByTheBootstrapUser) {
  start();
  sign(bootstrap_, 24h);
  stop();
  clock_.advance(48h);
  start();
  EXPECT_EQ(bootstrap_.requests.size(), 2U);
  EXPECT_TRUE(own_.requests.empty());
}

TEST_F(ClusterCertificateTest, ARequestThatIsDeniedIsFollowedByAnotherLater) {
  start();
  bootstrap_.newest().conditions.push_back(
      {.type = "Denied", .status = kube::ConditionStatus::true_status, .reason = "No", .message = "not you"});
  advance(10min);
  EXPECT_GE(bootstrap_.requests.size(), 2U) << "with another key it is another";
  EXPECT_LE(bootstrap_.requests.size(), 2U) << "which waits";
}

TEST_F(ClusterCertificateTest, ACertificateOfAnotherKeyIsNotUsed) {
  start();
  bootstrap_.newest().certificate_pem = *self_sign(*make_private_key(), *options_.subject(), clock_.wall(), 24h);
  advance(2min);
  EXPECT_FALSE(fs::exists(options_.file));
}

TEST_F(ClusterCertificateTest, TheServersFollowsItsAddresses) {
  CertificateSubject names{.common_name = {}, .organization = {}, .dns_names = {"n1"}, .ips = {"10.0.0.1", "fd00::1"}};
  options_ = serving_certificate(dir_, "n1", [&names] { return names; });
  start();
  EXPECT_THAT(bootstrap_.newest().usages, ElementsAre("digital signature", "server auth"));
  EXPECT_EQ(bootstrap_.newest().signer_name, "kubernetes.io/kubelet-serving");
  sign(bootstrap_, 1000h);
  EXPECT_EQ(read_certificate(text(options_.file))->subject.ips, names.ips);
  EXPECT_THAT(read_certificate(text(options_.file))->subject.dns_names, ElementsAre("n1"));
  names.ips = {"10.0.0.2"};
  advance(61s);
  ASSERT_EQ(own_.requests.size(), 1U);
  sign(own_, 1000h);
  EXPECT_THAT(read_certificate(text(options_.file))->subject.ips, ElementsAre("10.0.0.2"));
  names = {};
  advance(61s);
  EXPECT_EQ(own_.requests.size(), 1U) << "while its addresses are not known, it keeps what it has";
}

TEST_F(ClusterCertificateTest, WhatIsNoAddressIsNotAskedForWithoutEnd) {
  const CertificateSubject names{.common_name = {},
                                 .organization = {},
                                 .dns_names = {"n1", "10.0.0.9", "", "n1"},
                                 .ips = {"10.0.0.1", "2001:DB8::1", "fe80::1%eth0", "", "::ffff:10.0.0.1"}};
  options_ = serving_certificate(dir_, "n1", [&names] { return names; });
  start();
  sign(bootstrap_, 1000h);
  advance(1h);
  EXPECT_EQ(bootstrap_.requests.size() + own_.requests.size(), 1U) << "it has all that there is";
  const auto subject = read_certificate(text(options_.file))->subject;
  EXPECT_THAT(subject.ips, ElementsAre("10.0.0.1", "10.0.0.9", "2001:db8::1"));
  EXPECT_THAT(subject.dns_names, ElementsAre("n1"));
}

TEST_F(ClusterCertificateTest, ASignerMayAddNamesAndIsNotAskedWithoutPauseForThoseThatItLeavesOut) {
  CertificateSubject names{.common_name = {}, .organization = {}, .dns_names = {"n1"}, .ips = {"10.0.0.1"}};
  options_ = serving_certificate(dir_, "n1", [&names] { return names; });
  const auto sign_for = [&](FakeSigner& signer, const std::vector<std::string>& dns_names) {
    auto subject = *options_.subject();
    subject.dns_names = dns_names;
    signer.newest().certificate_pem = *self_sign(text(options_.pending_key), subject, clock_.wall(), 1000h);
    advance(1min);
  };
  start();
  sign_for(bootstrap_, {});
  EXPECT_TRUE(fs::exists(options_.file)) << "better than none";
  EXPECT_EQ(own_.requests.size(), 0U);
  advance(1min);
  ASSERT_EQ(own_.requests.size(), 1U);
  sign_for(own_, {"n1", "n1.of.a.cloud"});
  advance(1h);
  EXPECT_EQ(own_.requests.size(), 1U);
}

TEST_F(ClusterCertificateTest, AServerWithoutAddressesWaits) {
  CertificateSubject names;
  options_ = serving_certificate(dir_, "n1", [&names] { return names; });
  start();
  EXPECT_TRUE(bootstrap_.requests.empty());
  names.ips = {"10.0.0.1"};
  advance(1s);
  EXPECT_EQ(bootstrap_.requests.size(), 1U);
}

TEST(X509, WrongTextsAreRefusedWithoutShowingThem) {
  const auto key = *make_private_key();
  EXPECT_THAT(key, HasSubstr("BEGIN PRIVATE KEY"));
  EXPECT_EQ(read_certificate(key).error().message(), "not a certificate in PEM");
  EXPECT_EQ(make_signing_request("canary", {}).error().message(), "not a private key in PEM without a password");
  EXPECT_FALSE(belong_together("", key));
  EXPECT_NE(*digest_of_key(key, "a"), *digest_of_key(key, "b"));
  EXPECT_EQ(digest_of_key(key, "a")->size(), 64U);
}

}  // namespace
}  // namespace keelson::agent
