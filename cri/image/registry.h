// SPDX-License-Identifier: Apache-2.0
// One repository at one host (OCI distribution-spec 1.1, pull side).
//
// What breaks off goes on where it stopped; 429, 5xx and broken connections are tried 3 times more with growing pauses
// (Retry-After is obeyed up to 30 s), within the deadline. Errors name the host and the HTTP status, never credentials.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "common/fd.h"
#include "common/result.h"
#include "cri/image/auth.h"
#include "cri/image/hosts.h"
#include "cri/image/manifest.h"

namespace keelson::cri::image {

/// Where a body goes. Told when the host starts over.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual uint64_t have() const = 0;
  virtual Result<> restart() = 0;
  virtual Result<> take(std::string_view data) = 0;
};

/// Thread-safe.
class Repository {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  /// Credentials are used only at an origin: a mirror's go into its hosts.toml.
  Repository(RegistryHost host, std::string path, const Credentials& credentials, Deadline deadline);

  const RegistryHost& host() const { return host_; }

  /// A manifest or index by tag or digest, with its digest in `digest`; the content is checked against a digest asked
  /// for and against Docker-Content-Digest. Kind::not_found, permission, unavailable, timeout, invalid (wrong content).
  struct Document {
    std::string text;
    std::string digest;
  };
  Result<Document> manifest(const std::string& version);
  /// A small blob whole, checked.
  Result<std::string> blob(const std::string& digest);
  /// A blob into an empty file, checked; the file's offset is at its end. Kind::invalid: other content or size.
  Result<> download(const Descriptor& blob, int file);

 private:
  Result<std::string> fetch(const std::string& path, const std::string& accept, Sink& sink);
  Result<HttpResponse> send_once(const std::string& path, const std::string& accept, Sink& sink, std::string& refusal);
  Result<> authorize(const HttpResponse& response, const std::string& used);
  std::chrono::milliseconds time_left() const;

  RegistryHost host_;
  std::string path_;
  Credentials credentials_;
  Deadline deadline_;
  HttpClient client_;
  std::mutex mutex_;           // held while a token is fetched: the others wait for it
  std::string authorization_;  // the header's value that worked
};

}  // namespace keelson::cri::image
