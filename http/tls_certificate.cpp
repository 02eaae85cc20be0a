// SPDX-License-Identifier: Apache-2.0
// tls_certificate.h by OpenSSL.
#include "http/tls_certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <boost/asio/ssl/context.hpp>

#include "common/fd.h"
#include "common/log.h"

namespace keelson::http {

namespace {

using boost::asio::ssl::context;

// A key under a password must be refused, and not asked for at the daemon's terminal.
int no_password(char*, int, int, void*) {
  return 0;
}

Result<> use_key(SSL_CTX* tls, const std::string& pem, const TlsOptions& options) {
  const std::unique_ptr<BIO, decltype([](BIO* text) { ::BIO_free(text); })> text(
      ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const std::unique_ptr<EVP_PKEY, decltype([](EVP_PKEY* key) { ::EVP_PKEY_free(key); })> key(
      ::PEM_read_bio_PrivateKey(text.get(), nullptr, &no_password, nullptr));
  const bool fits = key && ::SSL_CTX_use_PrivateKey(tls, key.get()) == 1 && ::SSL_CTX_check_private_key(tls) == 1;
  ::ERR_clear_error();
  if (!key) {
    return fail(Kind::invalid, "{}: {}: no private key in PEM without a password", options.key_setting,
                options.key_file);
  }
  if (!fits) {
    return fail(Kind::invalid, "{}: {}: not the key of the certificate in {}", options.key_setting, options.key_file,
                options.certificate_file);
  }
  return {};
}

int take_any(int, X509_STORE_CTX*) {
  return 1;
}

void set_protocol(SSL_CTX* tls, const TlsOptions& options) {
  ::SSL_CTX_set_min_proto_version(tls, options.only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  ::SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Each connection shows its own certificate; none comes back by a session.
  ::SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_set_num_tickets(tls, 0);
  ::SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
  if (!options.ciphers.empty()) {
    ::SSL_CTX_set_cipher_list(tls, options.ciphers.c_str());  // cipher_list() has tried it
  }
  if (options.ask_client) {
    ::SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, &take_any);
  }
}

std::optional<WallTime> end_of(SSL_CTX* tls) {
  const X509* own = ::SSL_CTX_get0_certificate(tls);
  std::tm time{};
  if (own == nullptr || ::ASN1_TIME_to_tm(::X509_get0_notAfter(own), &time) != 1) {
    return std::nullopt;
  }
  return WallTime(std::chrono::seconds(::timegm(&time)));
}

}  // namespace

Result<std::string> cipher_list(const std::vector<std::string>& suites) {
  const std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* tls) { ::SSL_CTX_free(tls); })> trial(
      ::SSL_CTX_new(::TLS_server_method()));
  std::string list;
  for (const auto& suite : suites) {
    // Names that Go had before the suite had one.
    const bool old = suite.starts_with("TLS_ECDHE_") && suite.ends_with("_CHACHA20_POLY1305");
    const std::string name = ::OPENSSL_cipher_name((suite + (old ? "_SHA256" : "")).c_str());
    const bool tls13 = name.starts_with("TLS_");
    if (name == "(NONE)" || (!tls13 && ::SSL_CTX_set_cipher_list(trial.get(), name.c_str()) != 1)) {
      ::ERR_clear_error();
      return fail(Kind::invalid, "cipher suite {} is unknown, or too weak for this OpenSSL", suite);
    }
    if (!tls13) {
      list += (list.empty() ? "" : ":") + name;
    }
  }
  return list;
}

TlsCertificate::Versions TlsCertificate::look() const {
  Versions versions;
  for (size_t i = 0; i < versions.size(); ++i) {
    struct stat found{};
    if (::stat((i == 0 ? options_.certificate_file : options_.key_file).c_str(), &found) == 0) {
      versions[i] = {found.st_dev, found.st_ino, found.st_size, {found.st_mtim.tv_sec, found.st_mtim.tv_nsec}};
    }
  }
  return versions;
}

Result<> TlsCertificate::read() {
  KEELSON_TRY(const auto certificate, read_file(options_.certificate_file).context("{}", options_.certificate_setting));
  KEELSON_TRY(const auto key, read_file(options_.key_file).context("{}", options_.key_setting));
  auto tls = std::make_shared<context>(context::tls_server);
  boost::system::error_code error;
  tls->use_certificate_chain(boost::asio::buffer(certificate), error);
  if (error) {
    return fail(Kind::invalid, "{}: {}: no certificate in PEM", options_.certificate_setting,
                options_.certificate_file);
  }
  KEELSON_DO(use_key(tls->native_handle(), key, options_));
  set_protocol(tls->native_handle(), options_);
  expires_ = end_of(tls->native_handle());
  context_ = std::move(tls);
  return {};
}

// The files are looked at before they are read: what changes in between is seen next time.
Result<std::shared_ptr<context>> TlsCertificate::current() {
  if (const auto versions = look(); versions != seen_) {
    const bool again = context_ != nullptr;
    seen_ = versions;
    failure_.reset();
    if (auto done = read(); !done) {
      failure_ = std::move(done).error();
      if (again) {
        log::warning("{}; the certificate read before serves on", failure_->message());
      }
    } else if (again) {
      log::info("the certificate of {} was read anew", options_.certificate_file);
    }
  }
  if (context_) {
    return context_;
  }
  return std::unexpected(*failure_);
}

}  // namespace keelson::http
