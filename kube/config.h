// SPDX-License-Identifier: Apache-2.0
// Config (v1, the kubeconfig file) and ExecCredential (client.authentication.k8s.io): what clusters there are and who
// we are there. Full of secrets: never print, log or put into an error what is in them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace keelson::kube {

struct ConfigCluster {
  std::string name;
  std::string server;  ///< "https://host:port/prefix".
  std::string tls_server_name;
  bool insecure_skip_tls_verify = false;
  std::string certificate_authority;       ///< A path, as the next ones: from the folder of the file if relative.
  std::string certificate_authority_data;  ///< The bytes: base64 is undone, here and below.
  std::string proxy_url;
};

/// A program that prints an ExecCredential.
struct ConfigExec {
  struct Variable {
    std::string name;
    std::string value;
  };
  std::string api_version;
  std::string command;
  std::vector<std::string> args;
  std::vector<Variable> env;
  std::string install_hint;
  std::string interactive_mode;  ///< "Never", "IfAvailable", "Always".
  bool provide_cluster_info = false;
};

struct ConfigUser {
  std::string name;
  std::string client_certificate;
  std::string client_certificate_data;
  std::string client_key;
  std::string client_key_data;
  std::string token;
  std::string token_file;
  std::optional<ConfigExec> exec;
  std::string unsupported;  ///< The first field that is given and that no node can honour: "auth-provider".
};

struct ConfigContext {
  std::string name;
  std::string cluster;
  std::string user;
};

struct Config {
  std::vector<ConfigCluster> clusters;
  std::vector<ConfigUser> users;
  std::vector<ConfigContext> contexts;
  std::string current_context;
};

/// YAML or JSON. Kind::invalid names line and field, of unknown ones too; never a value.
Result<Config> decode_config(std::string_view text);
/// What decode_config() reads, in YAML.
std::string encode_config(const Config& config);

/// What a plugin printed.
struct ExecCredential {
  std::string api_version;
  std::string kind;
  std::optional<WallTime> expiration;
  std::string token;
  std::string client_certificate;  ///< PEM.
  std::string client_key;
};

/// Kind::invalid names the field; never a value.
Result<ExecCredential> decode_exec_credential(std::string_view text);

}  // namespace keelson::kube
