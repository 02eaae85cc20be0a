// SPDX-License-Identifier: Apache-2.0
// tls_certificate.h by OpenSSL.
#include "cri/streaming/tls_certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "common/fd.h"
#include "common/log.h"

namespace keelson::cri {

namespace {

using boost::asio::ssl::context;

// A key under a password must be refused, and not asked for at the daemon's terminal.
int no_password(char*, int, int, void*) {
  return 0;
}

Result<> use_certificate(context& tls, const std::string& pem) {
  boost::system::error_code error;
  tls.use_certificate_chain(boost::asio::buffer(pem), error);
  if (error) {
    return fail(Kind::invalid, "no certificate in PEM");
  }
  return {};
}

Result<> use_key(context& tls, const std::string& pem, const TlsFiles& files) {
  const std::unique_ptr<BIO, decltype(&::BIO_free)> text(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                         &::BIO_free);
  const std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)> key(
      ::PEM_read_bio_PrivateKey(text.get(), nullptr, &no_password, nullptr), &::EVP_PKEY_free);
  ::ERR_clear_error();
  if (!key) {
    return fail(Kind::invalid, "no private key in PEM without a password");
  }
  const bool fits = ::SSL_CTX_use_PrivateKey(tls.native_handle(), key.get()) == 1 &&
                    ::SSL_CTX_check_private_key(tls.native_handle()) == 1;
  ::ERR_clear_error();
  if (!fits) {
    return fail(Kind::invalid, "not the key of the certificate in {}", files.certificate);
  }
  return {};
}

}  // namespace

TlsCertificate::Versions TlsCertificate::look() const {
  Versions versions;
  for (size_t i = 0; i < versions.size(); ++i) {
    struct stat found{};
    if (::stat((i == 0 ? files_.certificate : files_.key).c_str(), &found) == 0) {
      versions[i] = {found.st_dev, found.st_ino, found.st_size, {found.st_mtim.tv_sec, found.st_mtim.tv_nsec}};
    }
  }
  return versions;
}

Result<> TlsCertificate::read() {
  auto tls = std::make_shared<context>(context::tls_server);
  ::SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  KEELSON_TRY(const auto certificate, read_file(files_.certificate).context("streamTLSCertFile"));
  KEELSON_DO(use_certificate(*tls, certificate).context("streamTLSCertFile: {}", files_.certificate));
  KEELSON_TRY(const auto key, read_file(files_.key).context("streamTLSKeyFile"));
  KEELSON_DO(use_key(*tls, key, files_).context("streamTLSKeyFile: {}", files_.key));
  context_ = std::move(tls);
  return {};
}

Result<TlsCertificate> TlsCertificate::load(TlsFiles files) {
  TlsCertificate certificate(std::move(files));
  certificate.seen_ = certificate.look();
  KEELSON_DO(certificate.read());
  return certificate;
}

// The files are looked at before they are read: what changes in between is seen next time.
std::shared_ptr<context> TlsCertificate::current() {
  if (const auto versions = look(); versions != seen_) {
    seen_ = versions;
    if (auto done = read(); done) {
      log::info("streaming: the certificate of {} was read anew", files_.certificate);
    } else {
      log::warning("streaming: {}; the certificate read before serves on", done.error().message());
    }
  }
  return context_;
}

}  // namespace keelson::cri
