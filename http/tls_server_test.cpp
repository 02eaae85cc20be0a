// SPDX-License-Identifier: Apache-2.0
// The server over TLS, and with what a kubelet's clients ask of it: certificates, connections that stay, bodies.
#include <gtest/gtest.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <list>
#include <thread>

#include "common/log.h"
#include "common/task_group.h"
#include "http/server.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_client.h"

namespace keelson::http {
namespace {

namespace fs = std::filesystem;
using keelson::testing::TestAuthority;
using keelson::testing::TestCertificate;
using keelson::testing::TlsClient;

/// The common name in a certificate's DER.
std::string name_of(const std::string& der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  X509* certificate = ::d2i_X509(nullptr, &bytes, static_cast<long>(der.size()));
  char name[256] = {};
  ::X509_NAME_get_text_by_NID(::X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  ::X509_free(certificate);
  return name;
}

Task<Response> answer(Request request) {
  if (request.target.path.empty()) {
    co_return text(request.certificates ? "you are " + name_of(request.certificates->front()) : "you are nobody");
  }
  if (request.target.path[0] == "stream") {
    Response response{.type = "text/plain"};
    response.stream = [](Sink sink) -> Task<> { co_return co_await sink("piece"); };
    co_return response;
  }
  if (request.target.path[0] == "hold") {
    Response response{.type = "text/plain"};
    response.stream = [](Sink sink) -> Task<> {
      KEELSON_CO_DO(co_await sink("piece"));
      asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
      co_await never.async_wait(use_result);
      co_return Result<>();
    };
    co_return response;
  }
  if (request.target.path[0] == "large") {
    co_return text(std::string(1'000'000, 'x') + "!");
  }
  co_return text(request.method + " " + request.path + " " + request.query + " " + request.header("x-one") + " " +
                 request.body + "!");
}

class TlsServerTest : public ::testing::Test {
 protected:
  TlsServerTest() {
    log::set_level(log::Level::off);
    std::string pattern = "/tmp/keelson-http-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    options_.keep_alive = true;
    options_.max_body = 16;
    options_.tls = std::make_shared<TlsCertificate>(
        TlsOptions{.certificate_file = dir_ + "/tls.crt", .key_file = dir_ + "/tls.key", .ask_client = true});
  }
  ~TlsServerTest() override {
    if (thread_.joinable()) {
      loop_.stop();
      thread_.join();
    }
    tasks_.cancel();
    loop_.run_until_idle();
    fs::remove_all(dir_);
  }
  void write(const TestCertificate& pair) {
    std::ofstream(dir_ + "/new.key") << pair.key;
    fs::rename(dir_ + "/new.key", dir_ + "/tls.key");
    std::ofstream(dir_ + "/new.crt") << pair.certificate;
    fs::rename(dir_ + "/new.crt", dir_ + "/tls.crt");
  }
  void start() {
    server_.emplace(loop_, "test", &answer, options_);
    port_ = server_->listen_tcp("127.0.0.1", 0).value();
    tasks_.spawn("server", server_->run());
    thread_ = std::thread([this] { loop_.run(); });
  }
  /// The common name of whom the server says it is to a new client; empty: no handshake.
  std::string server_name() {
    TlsClient client(port_);
    if (client.shake_hands()) {
      return "";
    }
    X509* shown = ::SSL_get1_peer_certificate(client.tls());
    char name[256] = {};
    ::X509_NAME_get_text_by_NID(::X509_get_subject_name(shown), NID_commonName, name, sizeof name);
    ::X509_free(shown);
    return name;
  }

  std::string dir_;
  TestAuthority authority_;
  ServerOptions options_;
  uint16_t port_ = 0;
  Loop loop_{real_clock(), "test"};
  TaskGroup tasks_{loop_};
  std::optional<Server> server_;
  std::thread thread_;
};

TEST_F(TlsServerTest, ClientsMayShowACertificate) {
  write(authority_.issue("server"));
  start();
  TlsClient nobody(port_);
  ASSERT_FALSE(nobody.shake_hands());
  EXPECT_TRUE(nobody.ask("GET /", "nobody").ends_with("you are nobody"));
  // Whoever has signed it: that is for the one who reads it to judge.
  TlsClient known(port_, TestAuthority().issue("somebody"));
  EXPECT_TRUE(known.ask("GET /", "somebody").ends_with("you are somebody"));
  EXPECT_TRUE(known.ask("GET /", "somebody").ends_with("you are somebody")) << "the connection stays";
}

TEST_F(TlsServerTest, OneOfTheChosenCiphersIsSpoken) {
  auto ciphers = cipher_list({"TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
                              "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"});
  ASSERT_TRUE(ciphers) << ciphers.error().message();
  EXPECT_EQ(*ciphers, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305");
  options_.tls = std::make_shared<TlsCertificate>(
      TlsOptions{.certificate_file = dir_ + "/tls.crt", .key_file = dir_ + "/tls.key", .ciphers = *std::move(ciphers)});
  write(authority_.issue("server"));
  start();
  TlsClient other(port_);
  ::SSL_set_max_proto_version(other.tls(), TLS1_2_VERSION);
  ::SSL_set_cipher_list(other.tls(), "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256");
  EXPECT_TRUE(other.shake_hands());
  TlsClient chosen(port_);
  ::SSL_set_max_proto_version(chosen.tls(), TLS1_2_VERSION);
  ASSERT_FALSE(chosen.shake_hands());
  EXPECT_TRUE(std::string(::SSL_get_cipher_name(chosen.tls())).ends_with("AES256-GCM-SHA384"));
  TlsClient newest(port_);
  EXPECT_FALSE(newest.shake_hands()) << "TLS 1.3 has its own";
}

TEST_F(TlsServerTest, UnknownCiphersAreNamed) {
  EXPECT_EQ(cipher_list({"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_MADE_UP"}).error().message(),
            "cipher suite TLS_MADE_UP is unknown, or too weak for this OpenSSL");
  EXPECT_FALSE(cipher_list({"TLS_RSA_WITH_RC4_128_SHA"}));
  EXPECT_EQ(cipher_list({}).value(), "");
}

TEST_F(TlsServerTest, NothingBelowTls12) {
  write(authority_.issue("server"));
  start();
  for (const int version : {TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(port_);
    ::SSL_set_security_level(client.tls(), 0);
    ::SSL_set_min_proto_version(client.tls(), version);
    ::SSL_set_max_proto_version(client.tls(), version);
    EXPECT_EQ(!client.shake_hands(), version != TLS1_1_VERSION) << version;
  }
  EXPECT_TRUE(TlsClient(port_).ask("GET /").ends_with("Client sent an HTTP request to an HTTPS server.\n"));
}

TEST_F(TlsServerTest, ItsCertificateChangesWhileItRuns) {
  start();
  EXPECT_EQ(server_name(), "") << "there is none yet";
  write(authority_.issue("first"));
  EXPECT_EQ(server_name(), "first");
  TlsClient old(port_);
  ASSERT_FALSE(old.shake_hands());
  write(authority_.issue("second"));
  EXPECT_EQ(server_name(), "second");
  EXPECT_TRUE(old.ask("GET /", "nobody").ends_with("nobody")) << "connections that are there stay";
  std::ofstream(dir_ + "/tls.key") << "nonsense";
  EXPECT_EQ(server_name(), "second") << "what cannot be used is passed over";
  write(authority_.issue("third"));
  EXPECT_EQ(server_name(), "third");
}

TEST_F(TlsServerTest, ErrorsOfFilesNameThem) {
  TlsCertificate missing({.certificate_file = dir_ + "/none.crt", .key_file = dir_ + "/none.key"});
  EXPECT_EQ(missing.current().error().kind(), Kind::not_found);
  auto one = authority_.issue("one");
  one.key = authority_.issue("other").key;
  write(one);
  TlsCertificate mixed({.certificate_file = dir_ + "/tls.crt", .key_file = dir_ + "/tls.key"});
  auto failed = mixed.current();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(),
            "tlsPrivateKeyFile: " + dir_ + "/tls.key: not the key of the certificate in " + dir_ + "/tls.crt");
  write(authority_.issue("right"));
  ASSERT_TRUE(mixed.current());
  EXPECT_GT(*mixed.expires(), real_clock().wall());
}

TEST_F(TlsServerTest, AnEndIsTold) {
  write(authority_.issue("server"));
  start();
  TlsClient client(port_);
  ASSERT_FALSE(client.shake_hands());
  EXPECT_NE(client.ask("GET /x", "\1", "Connection: close\r\n").find("\r\n\r\nGET /x"), std::string::npos);
  EXPECT_EQ(client.last(), boost::asio::error::eof) << "and not cut short: " << client.last().message();
  TlsClient streamed(port_);
  ASSERT_FALSE(streamed.shake_hands());
  EXPECT_TRUE(streamed.ask("GET /stream").ends_with("\r\n5\r\npiece\r\n0\r\n\r\n"));
  EXPECT_EQ(streamed.last(), boost::asio::error::eof) << streamed.last().message();
}

TEST_F(TlsServerTest, BodiesAndHeadersAreBounded) {
  options_.tls = nullptr;
  start();
  TlsClient client(port_);
  const auto answer = client.ask("POST /run/a%20b?cmd=x", "!", "X-One: 1\r\nContent-Length: 4\r\n", "body");
  EXPECT_TRUE(answer.ends_with("\r\n\r\nPOST /run/a%20b cmd=x 1 body!")) << answer;
  const auto chunked = client.ask("POST /x", "!", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n");
  EXPECT_TRUE(chunked.ends_with("abc!")) << chunked;
  EXPECT_EQ(client.ask("POST /x", "\1", "Content-Length: 17\r\n", "12345678901234567").find("HTTP/1.1 413"), 0U);
  TlsClient endless(port_);
  EXPECT_EQ(endless.ask("POST /x", "\1", "Transfer-Encoding: chunked\r\n", "ff\r\n" + std::string(255, 'x'))
                .find("HTTP/1.1 413"),
            0U);
  TlsClient large(port_);
  EXPECT_EQ(large.ask("GET /x", "\1", "X-One: " + std::string(70'000, 'x') + "\r\n").find("HTTP/1.1 431"), 0U);
  TlsClient wrong(port_);
  wrong.send("\x16\x03\x01 this is no request\r\n\r\n");
  EXPECT_EQ(wrong.receive().find("HTTP/1.1 400"), 0U);
}

TEST_F(TlsServerTest, ALargeBodyComesWhole) {
  write(authority_.issue("server"));
  start();
  TlsClient client(port_);
  ASSERT_FALSE(client.shake_hands());
  for (int i = 0; i < 2; ++i) {
    const auto answer = client.ask("GET /large", "!");
    EXPECT_NE(answer.find("Content-Length: 1000001\r\n"), std::string::npos) << answer.substr(0, 300);
    EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, 1'000'001U);
  }
}

// A peer that is let in nowhere keeps nobody else out.
TEST_F(TlsServerTest, OneMoreThanItTakesMakesTheLongestIdleGo) {
  options_.tls = nullptr;
  options_.max_connections = 2;
  start();
  TlsClient one(port_);
  TlsClient two(port_);
  EXPECT_NE(one.ask("GET /one", "!").find("GET /one"), std::string::npos);
  EXPECT_NE(two.ask("GET /two", "!").find("GET /two"), std::string::npos);
  TlsClient three(port_);
  EXPECT_NE(three.ask("GET /three", "!").find("GET /three"), std::string::npos);
  EXPECT_EQ(one.receive(), "");
  EXPECT_NE(two.ask("GET /two", "!").find("GET /two"), std::string::npos);
  std::list<TlsClient> silent;
  for (int i = 0; i < 8; ++i) {
    silent.emplace_back(port_);
  }
  TlsClient last(port_);
  EXPECT_NE(last.ask("GET /last", "!").find("GET /last"), std::string::npos);
}

TEST_F(TlsServerTest, MoreThanItTakesWaitWhileAllAreBusy) {
  options_.tls = nullptr;
  options_.max_connections = 2;
  start();
  auto one = std::make_unique<TlsClient>(port_);
  TlsClient two(port_);
  EXPECT_NE(one->ask("GET /hold", "piece").find("piece"), std::string::npos);
  EXPECT_NE(two.ask("GET /hold", "piece").find("piece"), std::string::npos);
  TlsClient three(port_);
  three.send("GET /three HTTP/1.1\r\nHost: x\r\n\r\n");
  one.reset();
  EXPECT_NE(three.receive("!").find("GET /three"), std::string::npos);
}

/// Time is the test's here; the sockets are real.
class SlowClientTest : public ::testing::Test {
 protected:
  SlowClientTest() {
    port_ = server_.listen_tcp("127.0.0.1", 0).value();
    tasks_.spawn("server", server_.run());
    client_.emplace(port_);
  }
  ~SlowClientTest() override {
    tasks_.cancel();
    loop_.run_until_idle();
  }
  /// Until the server has taken what was sent.
  void settle() {
    for (int i = 0; i < 100; ++i) {
      loop_.io().restart();
      loop_.io().run_one_for(std::chrono::milliseconds(1));
    }
  }
  bool closed() {
    settle();
    char byte = 0;
    return ::recv(client_->lower().native_handle(), &byte, 1, MSG_DONTWAIT) == 0;
  }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  TaskGroup tasks_{loop_};
  Server server_{loop_, "test", &answer, {.keep_alive = true}};
  uint16_t port_ = 0;
  std::optional<TlsClient> client_;
};

TEST_F(SlowClientTest, ARequestHasTenSeconds) {
  client_->send("GET / HTTP/1.1\r\nHost:");
  settle();
  loop_.advance(clock_, std::chrono::seconds(9));
  EXPECT_FALSE(closed());
  loop_.advance(clock_, std::chrono::seconds(2));
  EXPECT_TRUE(closed());
}

TEST_F(SlowClientTest, AConnectionIsKeptForAWhile) {
  client_->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  settle();
  EXPECT_TRUE(client_->receive("nobody").ends_with("you are nobody"));
  loop_.advance(clock_, std::chrono::seconds(80));
  EXPECT_FALSE(closed());
  loop_.advance(clock_, std::chrono::seconds(11));
  EXPECT_TRUE(closed());
}

}  // namespace
}  // namespace keelson::http
