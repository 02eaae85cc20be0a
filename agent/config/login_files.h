// SPDX-License-Identifier: Apache-2.0
// Where the registry logins of the node itself are (kubelet pkg/credentialprovider).
#pragma once

#include <string>
#include <vector>

namespace keelson::agent {

/// A file as `docker login` writes it.
struct LoginFile {
  std::string path;
  bool wrapped = true;  ///< config.json: the logins are in "auths"; a .dockercfg is nothing but logins.
  bool operator==(const LoginFile&) const = default;
};

/// Those that a kubelet reads, in its order; the first that can be read counts: config.json in <root>, in the daemon's
/// folder, in <home>/.docker and in /.docker; then .dockercfg in <root>, in the daemon's folder, in <home> and in /.
std::vector<LoginFile> login_files(const std::string& root, const std::string& home);

}  // namespace keelson::agent
