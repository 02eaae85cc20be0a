// SPDX-License-Identifier: Apache-2.0
// Where a registry's images are to be had: the registry itself, and mirrors in front of it by hosts.toml files laid out
// as containerd's certs.d (docs/hosts.md), whose fields are all served:
//
//   <config dir>/docker.io/hosts.toml         for docker.io; <config dir>/_default/hosts.toml for all without their
//   own;
//                                             r.test_5000_ or r.test:5000 for a registry with a port
//     server = "https://registry-1.docker.io"
//     [host."http://127.0.0.1:5000"]
//       capabilities = ["pull", "resolve"]    both if not there
//       ca = "ca.pem"                         or a list; relative to the file
//       client = "both.pem"                   one file with certificate and key; or a list of such, or of pairs:
//                                             [["client.cert", "client.key"]]; relative to the file
//       skip_verify = false
//       dial_timeout = "1s"                   until a connection is made
//       override_path = false                 true: the URL has the API's whole path, "/v2" is not added
//       [host."http://127.0.0.1:5000".header]
//         x-token = "..."                     or a list
//
// Only comment lines may have characters outside ASCII.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/result.h"
#include "cri/image/http.h"

namespace keelson::cri::image {

/// One place to ask.
struct RegistryHost {
  std::string url;      ///< of the API: "https://registry-1.docker.io/v2"
  std::string name;     ///< for messages: "registry-1.docker.io", "127.0.0.1:5000"
  bool origin = false;  ///< the registry itself (or what `server` puts in its place): gets the credentials
  bool resolve = true;  ///< may say what a tag is
  bool pull = true;     ///< may be asked by digest
  std::string query;    ///< a mirror is told whose image it is: "ns=docker.io"
  Tls tls;
  std::vector<std::string> headers;          ///< "x-token: ..."
  std::chrono::milliseconds dial_timeout{};  ///< 0: http.h's own
};

/// Mirrors in the file's order, then the origin. Without a file: the origin alone, over https; over http for localhost,
/// 127.0.0.1 and [::1]. Reads the files anew each time. Kind::invalid (or not_found, permission of a certificate's
/// file) names file and key.
Result<std::vector<RegistryHost>> hosts_for(const std::string& config_dir, const std::string& registry);

}  // namespace keelson::cri::image
