// SPDX-License-Identifier: Apache-2.0
// One thread accepts, one more for each connection.
#include "tests/support/registry.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <list>
#include <mutex>
#include <optional>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace keelson::testing {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

namespace {

constexpr const char* kToken = "test-token";

std::string base64(const std::string& text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  int size = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                               reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

const char* architecture() {
  utsname name{};
  ::uname(&name);
  return std::string_view(name.machine) == "aarch64" ? "arm64" : "amd64";
}

std::string descriptor(const char* type, const std::string& data) {
  return fmt::format(R"("mediaType":"{}","digest":"{}","size":{})", type, digest_of(data), data.size());
}

/// As the layer's own first bytes say.
const char* media_type(const std::string& layer) {
  return layer.starts_with("\x1f\x8b")           ? "application/vnd.oci.image.layer.v1.tar+gzip"
         : layer.starts_with("\x28\xb5\x2f\xfd") ? "application/vnd.oci.image.layer.v1.tar+zstd"
                                                 : "application/vnd.oci.image.layer.v1.tar";
}

struct Document {
  std::string type;
  std::string text;
};

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

}  // namespace

std::string digest_of(const std::string& data) {
  unsigned char sum[32];
  ::EVP_Digest(data.data(), data.size(), sum, nullptr, ::EVP_sha256(), nullptr);
  std::string out = "sha256:";
  for (unsigned char byte : sum) {
    out += fmt::format("{:02x}", byte);
  }
  return out;
}

std::string make_layer(const std::map<std::string, std::string>& files, bool gzip) {
  std::string out;
  archive* tar = ::archive_write_new();
  if (gzip) {
    ::archive_write_add_filter_gzip(tar);
  }
  ::archive_write_set_format_pax_restricted(tar);
  ::archive_write_set_bytes_in_last_block(tar, 1);  // the same archive, gzipped or not
  auto write = [](archive*, void* user, const void* data, size_t size) -> la_ssize_t {
    static_cast<std::string*>(user)->append(static_cast<const char*>(data), size);
    return static_cast<la_ssize_t>(size);
  };
  ::archive_write_open(tar, &out, nullptr, write, nullptr);
  for (const auto& [path, content] : files) {
    archive_entry* entry = ::archive_entry_new();
    ::archive_entry_set_pathname(entry, path.c_str());
    ::archive_entry_set_filetype(entry, AE_IFREG);
    ::archive_entry_set_perm(entry, 0755);
    ::archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    ::archive_write_header(tar, entry);
    ::archive_write_data(tar, content.data(), content.size());
    ::archive_entry_free(entry);
  }
  ::archive_write_close(tar);
  ::archive_write_free(tar);
  return out;
}

struct TestRegistry::State {
  asio::io_context context;
  tcp::acceptor acceptor{context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  uint16_t port = acceptor.local_endpoint().port();

  mutable std::mutex mutex;
  std::map<std::string, std::string> blobs;   // by digest
  std::map<std::string, Document> manifests;  // by "repository version"
  RegistryFaults faults;
  std::string authorization;  // wanted; empty: none
  std::string challenge;
  std::string token_authorization;  // wanted at /token
  std::vector<std::string> requests;
  std::list<tcp::socket> connections;
  std::list<std::jthread> threads;
  bool ending = false;
  std::optional<asio::ssl::context> tls;
  std::jthread accepting;

  void use(const RegistryTls& files);
  void accept();
  void serve(tcp::socket& connection);
  template <class Stream>
  void talk(Stream& stream);
  Response answer(const Request& request);
  Response read(const Request& request, const std::string& path);
  void want(const std::string& scheme, const std::string& user, const std::string& password);
};

void TestRegistry::State::accept() {
  for (;;) {
    boost::system::error_code error;
    tcp::socket connection(context);
    acceptor.accept(connection, error);
    std::lock_guard lock(mutex);
    if (error || ending) {
      return;
    }
    connections.push_back(std::move(connection));
    threads.emplace_back([this, &mine = connections.back()] { serve(mine); });
  }
}

Response TestRegistry::State::read(const Request& request, const std::string& path) {
  Response response{http::status::not_found, 11};
  response.body() = R"({"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]})";
  auto manifest = path.find("/manifests/");
  auto blob = path.find("/blobs/");
  if (manifest != std::string::npos) {
    auto found = manifests.find(path.substr(4, manifest - 4) + " " + path.substr(manifest + 11));
    if (found != manifests.end()) {
      response.result(http::status::ok);
      response.set(http::field::content_type, found->second.type);
      response.set("Docker-Content-Digest", digest_of(found->second.text));
      response.body() = found->second.text;
    }
  } else if (blob != std::string::npos && blobs.contains(path.substr(blob + 7))) {
    response.result(http::status::ok);
    response.body() = blobs[path.substr(blob + 7)];
    if (faults.wrong_blobs_from != 0 && response.body().size() >= faults.wrong_blobs_from) {
      response.body()[0] ^= 1;
    }
    auto range = std::string(request[http::field::range]);
    if (range.starts_with("bytes=") && !faults.ignore_ranges) {
      auto whole = response.body().size();
      auto from = std::stoul(range.substr(6));
      response.result(http::status::partial_content);
      response.body().erase(0, from);
      response.set(http::field::content_range, fmt::format("bytes {}-{}/{}", from, whole - 1, whole));
    }
  }
  return response;
}

Response TestRegistry::State::answer(const Request& request) {
  std::string path(request.target());
  path.erase(std::min(path.find('?'), path.size()));
  if (path == "/token") {
    Response response{http::status::ok, 11};
    bool known = token_authorization.empty() || request[http::field::authorization] == token_authorization;
    response.result(known ? http::status::ok : http::status::unauthorized);
    response.body() = known ? fmt::format(R"({{"token":"{}"}})", kToken) : "{}";
    return response;
  }
  if (faults.too_many_requests > 0) {
    --faults.too_many_requests;
    return Response{http::status::too_many_requests, 11};
  }
  if (!authorization.empty() && request[http::field::authorization] != authorization) {
    Response response{http::status::unauthorized, 11};
    response.set(http::field::www_authenticate, challenge);
    return response;
  }
  if (!faults.redirect_blobs_to.empty() && path.find("/blobs/") != std::string::npos) {
    Response response{http::status::temporary_redirect, 11};
    response.set(http::field::location, "http://" + faults.redirect_blobs_to + path);
    return response;
  }
  return read(request, path);
}

void TestRegistry::State::use(const RegistryTls& files) {
  tls.emplace(asio::ssl::context::tls_server);
  tls->use_certificate_chain(asio::buffer(files.certificate));
  tls->use_private_key(asio::buffer(files.key), asio::ssl::context::pem);
  if (!files.client_authority.empty()) {
    tls->add_certificate_authority(asio::buffer(files.client_authority));
    tls->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    BIO* pem = ::BIO_new_mem_buf(files.client_authority.data(), static_cast<int>(files.client_authority.size()));
    X509* authority = ::PEM_read_bio_X509(pem, nullptr, nullptr, nullptr);
    ::SSL_CTX_add_client_CA(tls->native_handle(), authority);
    ::X509_free(authority);
    ::BIO_free(pem);
  }
}

void TestRegistry::State::serve(tcp::socket& connection) {
  boost::system::error_code error;
  if (tls) {
    asio::ssl::stream<tcp::socket&> stream(connection, *tls);
    stream.handshake(asio::ssl::stream_base::server, error);
    if (!error) {
      talk(stream);
    }
  } else {
    talk(connection);
  }
  // Closed by the destructor: the accepting thread may not see the descriptor's number used anew before.
  connection.shutdown(tcp::socket::shutdown_send, error);
  char unread[4096];  // a reset would take an alert on its way with it
  while (connection.read_some(asio::buffer(unread), error) > 0) {
  }
}

template <class Stream>
void TestRegistry::State::talk(Stream& connection) {
  boost::beast::flat_buffer buffer;
  for (;;) {
    Request request;
    boost::system::error_code error;
    http::read(connection, buffer, request, error);
    if (error) {
      break;
    }
    Response response;
    uint64_t limit = 0;
    {
      std::lock_guard lock(mutex);
      response = answer(request);
      auto range = std::string(request[http::field::range]);
      requests.push_back(fmt::format("{} {} {}{}", std::string(request.method_string()), std::string(request.target()),
                                     response.result_int(), range.empty() ? "" : " " + range));
      bool blob = request.target().find("/blobs/") != std::string::npos && response.result_int() < 300;
      limit = blob && response.body().size() > faults.break_blobs_after ? faults.break_blobs_after : 0;
    }
    response.prepare_payload();
    if (request.method() == http::verb::head) {
      http::response_serializer<http::string_body> serializer(response);
      http::write_header(connection, serializer, error);
    } else if (limit != 0) {
      http::response_serializer<http::string_body> serializer(response);
      http::write_header(connection, serializer, error);
      asio::write(connection, asio::buffer(response.body().data(), limit), error);
      break;
    } else {
      http::write(connection, response, error);
    }
    if (error) {
      break;
    }
  }
}

void TestRegistry::State::want(const std::string& scheme, const std::string& user, const std::string& password) {
  auto basic = user.empty() ? "" : "Basic " + base64(user + ":" + password);
  authorization = scheme == "Basic" ? basic : fmt::format("Bearer {}", kToken);
  token_authorization = basic;
  challenge =
      scheme == "Basic"
          ? R"(Basic realm="test")"
          : fmt::format(R"(Bearer realm="http{}://127.0.0.1:{}/token",service="test",scope="repository:a:pull,x")",
                        tls ? "s" : "", port);
}

TestRegistry::TestRegistry() : state_(std::make_unique<State>()) {
  state_->accepting = std::jthread([this] { state_->accept(); });
}

TestRegistry::TestRegistry(const RegistryTls& tls) : state_(std::make_unique<State>()) {
  state_->use(tls);
  state_->accepting = std::jthread([this] { state_->accept(); });
}

TestRegistry::~TestRegistry() {
  {
    std::lock_guard lock(state_->mutex);
    state_->ending = true;
    for (auto& connection : state_->connections) {
      ::shutdown(connection.native_handle(), SHUT_RDWR);
    }
  }
  // Wakes accept().
  ::shutdown(state_->acceptor.native_handle(), SHUT_RDWR);
  state_->accepting.join();
  state_->threads.clear();
}

std::string TestRegistry::address() const {
  return fmt::format("127.0.0.1:{}", state_->port);
}

std::string TestRegistry::add(const std::string& repository, const std::string& tag, const Image& image) {
  std::string diff_ids;
  std::string layers;
  std::lock_guard lock(state_->mutex);
  for (size_t i = 0; i < image.layers.size(); ++i) {
    const auto& layer = image.layers[i];
    diff_ids +=
        fmt::format("{}\"{}\"", i == 0 ? "" : ",", image.diff_ids.empty() ? digest_of(layer) : image.diff_ids[i]);
    layers += fmt::format("{}{{{}}}", i == 0 ? "" : ",", descriptor(media_type(layer), layer));
    state_->blobs[digest_of(layer)] = layer;
  }
  auto config =
      fmt::format(R"({{"architecture":"{}","os":"linux","config":{},"rootfs":{{"type":"layers","diff_ids":[{}]}}}})",
                  architecture(), image.config, diff_ids);
  state_->blobs[digest_of(config)] = config;
  Document named{.type = "application/vnd.oci.image.manifest.v1+json", .text = ""};
  named.text = fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","config":{{{}}},"layers":[{}]}})", named.type,
                           descriptor("application/vnd.oci.image.config.v1+json", config), layers);
  state_->manifests[repository + " " + digest_of(named.text)] = named;
  if (image.index) {
    auto entry = descriptor(named.type.c_str(), named.text);
    named.type = "application/vnd.oci.image.index.v1+json";
    named.text = fmt::format(
        R"({{"schemaVersion":2,"mediaType":"{}","manifests":[{{{},"platform":{{"os":"linux","architecture":"s390x"}}}},{{{},"platform":{{"os":"linux","architecture":"{}"}}}}]}})",
        named.type, descriptor("application/vnd.oci.image.manifest.v1+json", "absent"), entry, architecture());
    state_->manifests[repository + " " + digest_of(named.text)] = named;
  }
  state_->manifests[repository + " " + tag] = named;
  return digest_of(named.text);
}

void TestRegistry::set(const RegistryFaults& faults) {
  std::lock_guard lock(state_->mutex);
  state_->faults = faults;
}

void TestRegistry::want_token(const std::string& user, const std::string& password) {
  std::lock_guard lock(state_->mutex);
  state_->want("Bearer", user, password);
}

void TestRegistry::want_basic(const std::string& user, const std::string& password) {
  std::lock_guard lock(state_->mutex);
  state_->want("Basic", user, password);
}

std::vector<std::string> TestRegistry::requests() const {
  std::lock_guard lock(state_->mutex);
  return state_->requests;
}

}  // namespace keelson::testing
