// SPDX-License-Identifier: Apache-2.0
// What proves to an API server who we are, kept fresh: files that others rotate, and plugins that print it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace keelson::kube {

/// Either or both may be empty. Secret.
struct Credential {
  std::string token;
  std::string certificate_pem;
  std::string key_pem;
  bool operator==(const Credential&) const = default;
};

/// A program that prints an ExecCredential of `api_version`.
struct CredentialPlugin {
  std::string api_version;        ///< "client.authentication.k8s.io/v1" or "/v1beta1".
  std::vector<std::string> args;  ///< The first is the program: a path, or a name that is looked for in PATH.
  std::vector<std::string> env;   ///< Added to ours; "NAME=value".
  std::string install_hint;       ///< Shown when the program is not there.
  std::string info;               ///< KUBERNETES_EXEC_INFO.
  std::chrono::milliseconds deadline{30'000};
};

/// Where it comes from. Of a pair, the bytes win over the path.
struct CredentialSource {
  std::string token;
  std::string token_file;
  std::string certificate_pem;
  std::string certificate_file;
  std::string key_pem;
  std::string key_file;
  std::optional<CredentialPlugin> plugin;
};

/// One user's credential. Not thread-safe, and get() blocks (on the disk, and on the plugin up to its deadline): the
/// client calls it on a thread of its own.
class Credentials {
 public:
  explicit Credentials(CredentialSource source, const Clock& clock = real_clock());

  /// The credential as it is now: files are read anew each time, so that a rotated token or certificate is used at
  /// once; a file that cannot be read leaves what it last held. A plugin runs again only when what it printed has
  /// expired, or was refused. Errors name file or plugin and what to do; never what was in it.
  Result<Credential> get();
  /// The credential where it never changes: it comes from no file and no plugin. Thread-safe, and blocks on nothing.
  const std::optional<Credential>& fixed() const { return fixed_; }
  /// From now on the pair in this file (certificate and key one behind the other) is all of the credential, while it is
  /// there and has not expired: whoever renews certificates writes it. Before the first get() of anybody else.
  void prefer_certificate(std::string file);
  /// The server did not accept it (401): the plugin will be asked again.
  void refused();

 private:
  Result<Credential> ask_plugin();
  bool prefers();

  const CredentialSource source_;
  const Clock& clock_;
  std::optional<Credential> fixed_;
  std::string preferred_file_;
  std::string preferred_;  // what it held last
  WallTime preferred_until_{};
  Credential last_;                    // of files
  std::optional<Credential> printed_;  // of the plugin
  std::optional<WallTime> printed_until_;
};

}  // namespace keelson::kube
