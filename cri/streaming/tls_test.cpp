// SPDX-License-Identifier: Apache-2.0
// Streaming over TLS: whole sessions, clients that speak no TLS or nothing, and certificates that change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

#include "cri/streaming/server.h"
#include "cri/streaming/spdy_test_client.h"
#include "cri/streaming/test_shell.h"
#include "tests/support/certificates.h"

namespace keelson::cri {
namespace {

namespace beast = boost::beast;
namespace fs = std::filesystem;
namespace ssl = boost::asio::ssl;
using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using keelson::testing::TestAuthority;
using keelson::testing::TestCertificate;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr AskedStreams kPipe{.in = true, .out = true, .err = false, .terminal = false};

class StreamingTls : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/keelson-tls-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    write(authority_.issue("first"));
    trust_.add_certificate_authority(boost::asio::buffer(authority_.certificate()));
  }
  void TearDown() override {
    server_.reset();
    fs::remove_all(dir_);
  }

  TlsFiles files() const { return {.certificate = dir_ + "/tls.crt", .key = dir_ + "/tls.key"}; }
  // As an issuer does: a new file in the place of the old.
  void replace(const std::string& path, const std::string& text) const {
    std::ofstream(path + ".new") << text;
    fs::rename(path + ".new", path);
  }
  void write(const TestCertificate& pair) const {
    replace(files().certificate, pair.certificate);
    replace(files().key, pair.key);
  }
  Result<std::unique_ptr<StreamingServer>> serve(StreamingTimes times = {}) {
    return StreamingServer::start({.times = times, .tls = files()});
  }
  void start(StreamingTimes times = {}) {
    auto server = serve(times);
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
  }
  std::string offer(const std::string& command) {
    return *server_->offer("exec", CommandOffer{kPipe, [command] { return run_shell(command); }});
  }
  tcp::endpoint endpoint() {
    const auto url = offer("true");
    return {boost::asio::ip::address_v4::loopback(), static_cast<uint16_t>(std::stoi(url.substr(18)))};
  }
  // Whose certificate a new connection is shown.
  std::string served() {
    ssl::stream<tcp::socket> stream(io_, trust_);
    stream.next_layer().connect(endpoint());
    stream.handshake(ssl::stream_base::client);
    char name[64] = "";
    X509* shown = ::SSL_get1_peer_certificate(stream.native_handle());
    ::X509_NAME_get_text_by_NID(::X509_get_subject_name(shown), NID_commonName, name, sizeof name);
    ::X509_free(shown);
    return name;
  }

  std::string dir_;
  TestAuthority authority_;
  ssl::context trust_{ssl::context::tls_client};
  boost::asio::io_context io_;
  std::unique_ptr<StreamingServer> server_;
};

TEST_F(StreamingTls, ExecOverSpdy) {
  start();
  const auto url = offer("wc -c; exit 7");
  EXPECT_THAT(url, StartsWith("https://127.0.0.1:"));
  SpdyClient client(url, "v4.channel.k8s.io", trust_.native_handle());
  ASSERT_EQ(client.status(), 101u);
  const auto error = client.open({{"streamtype", "error"}}), in = client.open({{"streamtype", "stdin"}});
  const auto out = client.open({{"streamtype", "stdout"}});
  for (int i = 0; i < 16; ++i) {
    client.send(in, std::string(65536, 'x'));
  }
  client.send(in, "", true);
  client.read_to_end();
  EXPECT_EQ(client.seen(out).data, "1048576\n");
  EXPECT_THAT(client.seen(error).data, HasSubstr(R"("message":"7")"));
  EXPECT_TRUE(client.saw_go_away());
}

// Both ways at once, each more than the buffers on the way hold.
TEST_F(StreamingTls, ExecOverWebSocket) {
  start();
  const auto url = offer("cat");
  beast::websocket::stream<ssl::stream<tcp::socket>> client(io_, trust_);
  client.next_layer().next_layer().connect(endpoint());
  client.next_layer().set_verify_mode(ssl::verify_peer);
  client.next_layer().handshake(ssl::stream_base::client);
  client.set_option(beast::websocket::stream_base::decorator([](beast::websocket::request_type& request) {
    request.set(beast::http::field::sec_websocket_protocol, "v5.channel.k8s.io");
  }));
  client.binary(true);
  client.handshake("127.0.0.1", url.substr(url.find('/', 8)));
  std::string chunk(65537, 'y');
  chunk[0] = 0;
  int left = 64;
  std::function<void(beast::error_code, size_t)> send = [&](beast::error_code failed, size_t) {
    if (!failed && left-- > 0) {
      client.async_write(boost::asio::buffer(chunk), send);
    } else if (!failed && left == -1) {
      client.async_write(boost::asio::buffer("\xff\0", 2), send);
    }
  };
  std::map<char, size_t> got;
  beast::error_code error;
  beast::flat_buffer buffer;
  std::function<void(beast::error_code, size_t)> take = [&](beast::error_code failed, size_t count) {
    error = failed;
    if (!failed) {
      got[static_cast<const char*>(buffer.data().data())[0]] += count - 1;
      buffer.clear();
      client.async_read(buffer, take);
    }
  };
  send({}, 0);
  client.async_read(buffer, take);
  io_.run();
  EXPECT_EQ(error, beast::websocket::error::closed);
  EXPECT_EQ(got[1], 64u * 65536);
  EXPECT_GT(got[3], 0u);  // how it ended
}

TEST_F(StreamingTls, StrangersAreNotBelieved) {
  start();
  const TestAuthority other;
  ssl::context trust(ssl::context::tls_client);
  trust.add_certificate_authority(boost::asio::buffer(other.certificate()));
  EXPECT_EQ(SpdyClient(offer("true"), "v4.channel.k8s.io", trust.native_handle()).status(), 0u);
  EXPECT_EQ(SpdyClient(offer("true"), "v4.channel.k8s.io", trust_.native_handle()).status(), 101u);
}

TEST_F(StreamingTls, PlainHttpIsToldAndTheTicketStays) {
  start();
  const auto url = offer("exit 3");
  SpdyClient plain("http" + url.substr(5), "v4.channel.k8s.io");
  EXPECT_EQ(plain.status(), 400u);
  EXPECT_EQ(plain.body(), "Client sent an HTTP request to an HTTPS server.\n");
  tcp::socket noise(io_);
  noise.connect(endpoint());
  boost::asio::write(noise, boost::asio::buffer(std::string(4096, '\x7f')));
  char byte = 0;
  boost::system::error_code error;
  while (!error) {  // an alert, and the end
    boost::asio::read(noise, boost::asio::buffer(&byte, 1), error);
  }
  EXPECT_EQ(SpdyClient(url, "v4.channel.k8s.io", trust_.native_handle()).status(), 101u);
}

TEST_F(StreamingTls, SilentClientsHoldNobodyUpAndAreClosed) {
  start({.request = 300ms});
  std::vector<tcp::socket> silent;
  for (int i = 0; i < 50; ++i) {
    silent.emplace_back(io_).connect(endpoint());
  }
  EXPECT_EQ(served(), "first");
  for (auto& socket : silent) {
    char byte = 0;
    boost::system::error_code error;
    EXPECT_EQ(boost::asio::read(socket, boost::asio::buffer(&byte, 1), error), 0u);
    EXPECT_TRUE(error);
  }
}

TEST_F(StreamingTls, ReplacedFilesServeTheNextConnection) {
  start();
  SpdyClient before(offer("cat"), "v4.channel.k8s.io", trust_.native_handle());
  before.open({{"streamtype", "error"}});
  const auto in = before.open({{"streamtype", "stdin"}}), out = before.open({{"streamtype", "stdout"}});
  const auto second = authority_.issue("second");
  replace(files().certificate, second.certificate);
  EXPECT_EQ(served(), "first");  // its key is not there yet
  replace(files().key, second.key);
  EXPECT_EQ(served(), "second");
  replace(files().certificate, "half a fi");
  EXPECT_EQ(served(), "second");
  fs::remove(files().key);
  EXPECT_EQ(served(), "second");
  write(authority_.issue("third"));
  EXPECT_EQ(served(), "third");
  before.send(in, "still here", true);
  EXPECT_EQ(before.read_stream(out), "still here");
}

TEST_F(StreamingTls, UnusableFilesAreNamed) {
  const auto [certificate, key] = files();
  const auto other = authority_.issue("other");
  const auto good = authority_.issue("good");
  const auto told = [&](const std::string& pem, const std::string& key_pem) {
    write({.certificate = pem, .key = key_pem});
    const auto server = serve();
    return server ? std::string("serves") : server.error().message();
  };
  EXPECT_EQ(told(good.certificate, other.key),
            "streamTLSKeyFile: " + key + ": not the key of the certificate in " + certificate);
  EXPECT_EQ(told("text", good.key), "streamTLSCertFile: " + certificate + ": no certificate in PEM");
  EXPECT_EQ(told(good.certificate, "text"), "streamTLSKeyFile: " + key + ": no private key in PEM without a password");
  EXPECT_EQ(told(good.certificate, good.key), "serves");
  fs::remove(key);
  EXPECT_THAT(serve().error().message(), HasSubstr("streamTLSKeyFile: open " + key + ": No such file"));
  fs::remove(certificate);
  EXPECT_THAT(serve().error().message(), HasSubstr("streamTLSCertFile: open " + certificate + ": No such file"));
}

}  // namespace
}  // namespace keelson::cri
