// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/serving_pair.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/fd.h"
#include "http/tls_certificate.h"

namespace keelson::agent {
namespace {

class ServingPairTest : public ::testing::Test {
 protected:
  ServingPairTest() {
    std::string pattern = "/tmp/keelson-pki-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
  }
  ~ServingPairTest() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
};

TEST_F(ServingPairTest, IsMadeAndKept) {
  const auto now = real_clock().wall();
  const auto pair = ensure_serving_pair(dir_ + "/pki", {"node-1", "10.0.0.1", "fd00::1"}, now);
  ASSERT_TRUE(pair) << pair.error().message();
  EXPECT_EQ(pair->certificate_file, dir_ + "/pki/kubelet.crt");
  struct stat key{};
  ASSERT_EQ(::stat(pair->key_file.c_str(), &key), 0);
  EXPECT_EQ(key.st_mode & 0777, 0600U);
  http::TlsCertificate serving({.certificate_file = pair->certificate_file, .key_file = pair->key_file});
  ASSERT_TRUE(serving.current()) << serving.current().error().message();
  const auto pem = read_file(pair->certificate_file).value();
  BIO* text = ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* made = ::PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
  EXPECT_EQ(::X509_check_host(made, "node-1", 0, 0, nullptr), 1);
  EXPECT_EQ(::X509_check_ip_asc(made, "10.0.0.1", 0), 1);
  EXPECT_EQ(::X509_check_ip_asc(made, "fd00::1", 0), 1);
  EXPECT_EQ(::X509_check_ip_asc(made, "10.0.0.2", 0), 0);
  ::X509_free(made);
  ::BIO_free(text);

  ASSERT_TRUE(ensure_serving_pair(dir_ + "/pki", {"node-1"}, now + std::chrono::days(300)));
  EXPECT_EQ(read_file(pair->certificate_file).value(), pem) << "it is good for long";
  ASSERT_TRUE(ensure_serving_pair(dir_ + "/pki", {"node-1"}, now + std::chrono::days(340)));
  EXPECT_NE(read_file(pair->certificate_file).value(), pem) << "it would expire soon";
  std::ofstream(pair->key_file) << "nothing";
  ASSERT_TRUE(ensure_serving_pair(dir_ + "/pki", {"node-1"}, now));
  EXPECT_NE(read_file(pair->key_file).value(), "nothing");
}

}  // namespace
}  // namespace keelson::agent
