// SPDX-License-Identifier: Apache-2.0
// Whose certificates are believed: clientCAFile.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "kube/review.h"

namespace keelson::agent {

/// The authorities of a file, which may be replaced while we run. Belongs to one thread.
class ClientAuthority {
 public:
  /// Kind::not_found, permission; invalid: no certificate in it.
  static Result<std::unique_ptr<ClientAuthority>> open(std::string file);
  ~ClientAuthority();

  /// The user that a client's certificates (DER, its own first) prove: the common name, of the groups that are the
  /// organizations. Kind::permission: no authority of ours has signed it, it has expired, is for servers alone, or
  /// names nobody. Looks at the file first (one stat call); one that cannot be read leaves what it last held.
  Result<kube::UserInfo> user_of(const std::vector<std::string>& certificates);

 private:
  struct Store;
  explicit ClientAuthority(std::string file);
  Result<> read();

  const std::string file_;
  struct stat seen_{};
  std::unique_ptr<Store> store_;
};

}  // namespace keelson::agent
