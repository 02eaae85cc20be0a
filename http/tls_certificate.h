// SPDX-License-Identifier: Apache-2.0
// A server's certificate, from files that are replaced while it runs.
//
// Certificates are short-lived: whoever issues them writes new files in place of the old, or moves a link. A server
// that read them once would serve an expired one until somebody restarts it.
#pragma once

#include <sys/stat.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace boost::asio::ssl {
class context;
}

namespace keelson::http {

struct TlsOptions {
  std::string certificate_file;                     ///< PEM, its chain behind it.
  std::string key_file;                             ///< PEM, without a password; may be the same file.
  std::string certificate_setting = "tlsCertFile";  ///< What errors call the files.
  std::string key_setting = "tlsPrivateKeyFile";
  bool ask_client = false;   ///< Clients may show certificates; whose they are is their reader's to check.
  bool only_tls13 = false;   ///< Otherwise TLS 1.2, too.
  std::string ciphers = {};  ///< Of TLS 1.2, as cipher_list() writes them; empty: OpenSSL's choice.
};

/// Suites by their IANA names, or Go's ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), as OpenSSL has them. Those of TLS 1.3
/// are all served whatever is chosen, as in Go, and left out. Kind::invalid names one that is unknown, or that this
/// OpenSSL does not have any more.
Result<std::string> cipher_list(const std::vector<std::string>& suites);

/// Belongs to one thread.
class TlsCertificate {
 public:
  explicit TlsCertificate(TlsOptions options) : options_(std::move(options)) {}

  /// For the next connection: the newest usable pair. Looks at the files (two stat calls), and reads them if they are
  /// others than before. A pair that cannot be used (the key is not written yet, say) is logged once, and the one
  /// before it serves on; without one: Kind::not_found, permission; invalid: not PEM, a key that needs a password or
  /// is not the certificate's. The error names setting and file.
  Result<std::shared_ptr<boost::asio::ssl::context>> current();
  /// When the pair that serves now expires; none before the first.
  std::optional<WallTime> expires() const { return expires_; }

 private:
  /// What tells one state of a file from another.
  struct Version {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::array<int64_t, 2> changed{};
    bool operator==(const Version&) const = default;
  };
  using Versions = std::array<Version, 2>;

  Versions look() const;
  Result<> read();

  const TlsOptions options_;
  std::optional<Versions> seen_;
  std::shared_ptr<boost::asio::ssl::context> context_;
  std::optional<WallTime> expires_;
  std::optional<Error> failure_;
};

}  // namespace keelson::http
