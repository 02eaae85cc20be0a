// SPDX-License-Identifier: Apache-2.0
// The streaming server's certificate, from files that are replaced while it runs.
//
// Certificates are short-lived: whoever issues them writes new files in place of the old, or moves a link. A server
// that read them once would serve an expired one until somebody restarts it.
#pragma once

#include <sys/stat.h>

#include <array>
#include <memory>

#include <boost/asio/ssl/context.hpp>

#include "cri/streaming/server.h"

namespace keelson::cri {

/// Belongs to one thread.
class TlsCertificate {
 public:
  /// Reads both files. The error names setting and file: Kind::not_found, permission; invalid: not PEM, a key that
  /// needs a password, or a key that is not the certificate's.
  static Result<TlsCertificate> load(TlsFiles files);

  /// For the next connection: TLS 1.2 or newer with the newest usable pair. Looks at the files (two stat calls) and
  /// reads them again if they are others than before. A pair that cannot be used (the key is not written yet, say) is
  /// logged once, and the one before it serves on.
  std::shared_ptr<boost::asio::ssl::context> current();

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

  explicit TlsCertificate(TlsFiles files) : files_(std::move(files)) {}
  Versions look() const;
  Result<> read();

  TlsFiles files_;
  Versions seen_{};
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace keelson::cri
