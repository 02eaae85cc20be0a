// SPDX-License-Identifier: Apache-2.0
// A registry on 127.0.0.1 for tests, with the faults that registries have.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace keelson::testing {

/// A layer's archive: regular files (mode 0755) by path.
std::string make_layer(const std::map<std::string, std::string>& files, bool gzip);

/// "sha256:<hex>"
std::string digest_of(const std::string& data);

/// What goes wrong from now on.
struct RegistryFaults {
  uint64_t break_blobs_after = 0;  ///< bytes of each answer to a blob of more than that; then the connection is reset
  int too_many_requests = 0;       ///< so many requests get 429 first
  uint64_t wrong_blobs_from = 0;   ///< a byte is another one in each blob of that many bytes or more; 0: in none
  bool ignore_ranges = false;
  std::string redirect_blobs_to = {};  ///< "127.0.0.1:<port>"; empty: they are here
};

/// PEM texts.
struct RegistryTls {
  std::string certificate;
  std::string key;
  std::string client_authority = {};  ///< who must have issued the client's certificate; empty: none is asked for
};

/// Serves what it is given, from a thread of its own; the destructor ends it. All methods are thread-safe.
class TestRegistry {
 public:
  TestRegistry();
  /// Over TLS.
  explicit TestRegistry(const RegistryTls& tls);
  ~TestRegistry();
  TestRegistry(const TestRegistry&) = delete;
  TestRegistry& operator=(const TestRegistry&) = delete;

  /// "127.0.0.1:<port>"
  std::string address() const;

  struct Image {
    std::string config;                      ///< the config's "config" object: R"({"Cmd":["/server"]})"
    std::vector<std::string> layers;         ///< archives, bottom first
    std::vector<std::string> diff_ids = {};  ///< of the plain archives; empty: the layers are plain
    bool index = false;                      ///< the tag names an index with another platform's entry first
  };
  /// `repository` as in the URL: "library/mysql". The digest of what the tag names.
  std::string add(const std::string& repository, const std::string& tag, const Image& image);

  void set(const RegistryFaults& faults);
  /// Wants a token, which is given for this user alone ("" and "": for anybody).
  void want_token(const std::string& user, const std::string& password);
  void want_basic(const std::string& user, const std::string& password);
  /// What was asked so far: "GET /v2/a/manifests/1 200", with " bytes=5-" if a range was asked for.
  std::vector<std::string> requests() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::testing
