// SPDX-License-Identifier: Apache-2.0
// tls_certificate.h by OpenSSL.
#include "cri/streaming/tls_certificate.h"

#include <openssl/ssl.h>

#include "common/log.h"
#include "cri/key_pair.h"

namespace keelson::cri {

namespace {

using boost::asio::ssl::context;

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
  KeyPair pair;
  KEELSON_TRY(pair.certificate, read_certificates(files_.certificate).context("streamTLSCertFile"));
  KEELSON_TRY(pair.key, read_private_key(files_.key).context("streamTLSKeyFile"));
  auto tls = std::make_shared<context>(context::tls_server);
  ::SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  boost::system::error_code error;
  tls->use_certificate_chain(boost::asio::buffer(pair.certificate), error);
  if (error) {
    return fail(Kind::invalid, "streamTLSCertFile: {}: {}", files_.certificate, error.message());
  }
  tls->use_private_key(boost::asio::buffer(pair.key), context::pem, error);
  if (error || !fits(pair)) {
    return fail(Kind::invalid, "streamTLSKeyFile: {}: not the key of the certificate in {}", files_.key,
                files_.certificate);
  }
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
