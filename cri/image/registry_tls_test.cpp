// SPDX-License-Identifier: Apache-2.0
// Pulls from a registry behind TLS: authorities, certificates of our own, and what hosts.toml says of them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

#include "cri/image/hosts.h"
#include "cri/image/pull.h"
#include "tests/support/certificates.h"
#include "tests/support/registry.h"

namespace keelson::cri::image {
namespace {

namespace fs = std::filesystem;
using keelson::testing::make_layer;
using keelson::testing::RegistryTls;
using keelson::testing::TestAuthority;
using keelson::testing::TestRegistry;
using ::testing::AllOf;
using ::testing::HasSubstr;

class RegistryTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root (layers keep their owners)";
    }
    char name[] = "/tmp/keelson-rtls-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    fs::create_directories(folder());
    const auto mine = clients_.issue("node");
    write("ca.pem", authority_.certificate());
    write("node.cert", mine.certificate);
    write("node.key", mine.key);
    write("both.pem", mine.certificate + mine.key);
    const auto stranger = TestAuthority().issue("stranger");
    write("stranger.pem", stranger.key + stranger.certificate);
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::string folder() const { return dir_ + "/certs.d/r.test"; }
  void write(const std::string& file, const std::string& text) const { std::ofstream(folder() + "/" + file) << text; }
  // A registry that asks for a certificate of clients_, if it asks.
  TestRegistry& registry(bool asks) {
    const auto pair = authority_.issue("registry");
    RegistryTls tls{.certificate = pair.certificate, .key = pair.key};
    tls.client_authority = asks ? clients_.certificate() : "";
    registry_ = std::make_unique<TestRegistry>(tls);
    registry_->add("box", "1", {.config = "{}", .layers = {make_layer({{"file", "text"}}, false)}});
    return *registry_;
  }
  // With these lines in its hosts.toml; "" or why not.
  std::string pull(const std::string& lines) {
    write("hosts.toml", fmt::format("server = \"https://{}\"\n{}\n", registry_->address(), lines));
    fs::remove_all(dir_ + "/store");
    auto store = ImageStore::open({.root = dir_ + "/store", .limits = {}});
    auto pulled = pull_image(**store, "r.test/box:1", {},
                             {.config_dir = dir_ + "/certs.d", .deadline = std::chrono::seconds(60)});
    return pulled ? "" : pulled.error().message();
  }

  std::string dir_;
  TestAuthority authority_, clients_;
  std::unique_ptr<TestRegistry> registry_;
};

TEST_F(RegistryTlsTest, AuthoritiesAndSkipVerify) {
  registry(false);
  EXPECT_THAT(pull(""), HasSubstr("certificate"));
  EXPECT_EQ(pull("ca = \"ca.pem\""), "");
  EXPECT_EQ(pull("ca = [\"stranger.pem\", \"" + folder() + "/ca.pem\"]"), "");
  EXPECT_THAT(pull("ca = [\"stranger.pem\"]"), HasSubstr("certificate"));
  EXPECT_EQ(pull("skip_verify = true"), "");
  EXPECT_EQ(pull("ca = \"ca.pem\"\nclient = \"both.pem\""), "") << "a certificate that nobody asks for harms nothing";
}

TEST_F(RegistryTlsTest, OursIsShownInEveryForm) {
  registry(true);
  const std::string trust = "ca = \"ca.pem\"\n";
  EXPECT_EQ(pull(trust + "client = \"both.pem\""), "");
  EXPECT_EQ(pull(trust + "client = [\"both.pem\"]"), "");
  EXPECT_EQ(pull(trust + "client = [[\"node.cert\", \"node.key\"]]"), "");
  EXPECT_EQ(pull(trust + "client = [[\"both.pem\", \"\"]]"), "");
  // The one that the registry's authority has issued, wherever it stands.
  EXPECT_EQ(pull(trust + "client = [\"stranger.pem\", [\"node.cert\", \"node.key\"]]"), "");
}

TEST_F(RegistryTlsTest, WithoutOneItIsToldWhatIsMissing) {
  registry(true);
  const auto missing = AllOf(HasSubstr(registry_->address()), HasSubstr("client certificate"), HasSubstr("hosts.toml"));
  EXPECT_THAT(pull("ca = \"ca.pem\""), missing);
  EXPECT_THAT(pull("ca = \"ca.pem\"\nclient = \"stranger.pem\""), missing);
  EXPECT_TRUE(registry_->requests().empty());
}

TEST_F(RegistryTlsTest, TokensAreAskedForWithItToo) {
  registry(true).want_token("", "");
  EXPECT_EQ(pull("ca = \"ca.pem\"\nclient = \"both.pem\""), "");
}

TEST_F(RegistryTlsTest, WhatIsWrongIsNamed) {
  const auto wrong = [&](const std::string& lines) {
    write("hosts.toml", lines + "\n");
    const auto hosts = hosts_for(dir_ + "/certs.d", "r.test");
    return hosts ? std::string("nothing") : hosts.error().message();
  };
  const auto at = folder() + "/hosts.toml: server: ";
  const auto other = TestAuthority().issue("other");
  write("other.key", other.key);
  write("text.pem", "text");
  EXPECT_EQ(wrong("client = [[\"node.cert\", \"other.key\"]]"),
            at + "client[0]: " + folder() + "/other.key: not the key of the certificate in " + folder() + "/node.cert");
  EXPECT_EQ(wrong("client = \"node.cert\""),
            at + "client: " + folder() + "/node.cert: no private key in PEM without a password");
  EXPECT_EQ(wrong("client = \"text.pem\""), at + "client: " + folder() + "/text.pem: no certificate in PEM");
  EXPECT_THAT(wrong("client = \"absent.pem\""), HasSubstr("client: open " + folder() + "/absent.pem: No such file"));
  EXPECT_EQ(wrong("client = 7"), at + "client: expected a text, or a list of texts or of pairs");
  EXPECT_EQ(wrong("client = [\"both.pem\", [\"node.cert\"]]"), at + "client[1]: expected a text or a pair of texts");
  EXPECT_EQ(wrong("ca = \"text.pem\""), at + "ca: " + folder() + "/text.pem: no certificate in PEM");
  EXPECT_EQ(wrong("skip_verify = \"true\""), at + "skip_verify: expected true or false");
  EXPECT_EQ(wrong("override_path = 1"), at + "override_path: expected true or false");
  EXPECT_EQ(wrong("dial_timeout = \"soon\""), at + "dial_timeout: 'soon' is not a duration like 4h, 90s or 500ms");
  EXPECT_EQ(wrong("capabilities = [\"fetch\"]"), at + "capabilities: \"fetch\" is none of pull, resolve, push");
  EXPECT_EQ(wrong("capabilities = []"), "nothing");
}

TEST_F(RegistryTlsTest, DialTimeout) {
  write("hosts.toml", "[host.\"https://mirror.test\"]\ndial_timeout = \"1.5s\"\ncapabilities = [\"Pull\"]\n");
  const auto hosts = *hosts_for(dir_ + "/certs.d", "r.test");
  EXPECT_EQ(hosts[0].dial_timeout, std::chrono::milliseconds(1500));
  EXPECT_TRUE(hosts[0].pull);
  EXPECT_FALSE(hosts[0].resolve);
  EXPECT_EQ(hosts[1].dial_timeout.count(), 0);
  // A listener whose queue is full answers no more connections: the limit ends the attempt.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 0), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const int full = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::connect(full, reinterpret_cast<sockaddr*>(&address), size), 0);
  HttpClient client;
  HttpRequest request{.url = fmt::format("http://127.0.0.1:{}/", ntohs(address.sin_port)),
                      .timeout = std::chrono::seconds(30),
                      .connect_timeout = std::chrono::milliseconds(100)};
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(client.send(request).error().kind(), Kind::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  ::close(full);
  ::close(listener);
}

TEST_F(RegistryTlsTest, FoldersOfRegistriesWithAPort) {
  fs::create_directories(dir_ + "/certs.d/r.test_5000_");
  std::ofstream(dir_ + "/certs.d/r.test_5000_/hosts.toml") << "server = \"https://other.test\"\n";
  EXPECT_EQ(hosts_for(dir_ + "/certs.d", "r.test:5000")->back().url, "https://other.test/v2");
  EXPECT_EQ(hosts_for(dir_ + "/certs.d", "r.test:5001")->back().url, "https://r.test:5001/v2");
}

}  // namespace
}  // namespace keelson::cri::image
