// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/kubelet_api_options.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "agent/node/heartbeat.h"
#include "cmd/keelson/agent_options.h"
#include "cmd/keelson/membership.h"
#include "cmd/keelson/network_options.h"
#include "cmd/keelson/node.h"
#include "common/duration.h"
#include "common/log.h"

namespace keelson::cli {

namespace {

constexpr uint16_t kPort = 10250;
constexpr uint16_t kKubeletHealthzPort = 10248;

Result<std::optional<http::BindAddress>> where(const NodeConfig& config, const std::string& address,
                                               const std::string& port, uint16_t usual) {
  uint16_t number = config.kubeconfig.empty() ? 0 : usual;
  if (!port.empty()) {
    KEELSON_TRY(number, parse_port(port));
  }
  if (number == 0) {
    return std::nullopt;
  }
  return http::BindAddress{.host = address, .port = number};
}

Result<> authentication(const NodeConfig& config, agent::AuthenticationOptions& options) {
  options.client_ca_file = config.client_ca_file;
  options.token_webhook = config.token_webhook;
  options.anonymous = config.anonymous_auth;
  KEELSON_TRY(options.token_ttl,
              parse_duration(config.token_webhook_cache_ttl).context("authenticationTokenWebhookCacheTTL"));
  return {};
}

Result<> authorization(const NodeConfig& config, agent::AuthorizationOptions& options) {
  if (config.authorization_mode != "Webhook" && config.authorization_mode != "AlwaysAllow") {
    return fail(Kind::invalid, "authorizationMode: '{}' is not one of Webhook, AlwaysAllow", config.authorization_mode);
  }
  options.webhook = config.authorization_mode == "Webhook";
  options.node_name = node_name(config);
  KEELSON_TRY(options.allowed_ttl,
              parse_duration(config.authorized_cache_ttl).context("authorizationWebhookCacheAuthorizedTTL"));
  KEELSON_TRY(options.denied_ttl,
              parse_duration(config.unauthorized_cache_ttl).context("authorizationWebhookCacheUnauthorizedTTL"));
  return {};
}

Result<> tls(const NodeConfig& config, agent::KubeletApiOptions& options) {
  if (config.tls_cert_file.empty() != config.tls_private_key_file.empty()) {
    const bool key = config.tls_private_key_file.empty();
    return fail(Kind::invalid, "{} needs {} beside it", key ? "tlsCertFile" : "tlsPrivateKeyFile",
                key ? "tlsPrivateKeyFile" : "tlsCertFile");
  }
  static constexpr const char* kVersions[] = {"VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"};
  if (std::ranges::find(kVersions, config.tls_min_version) == std::end(kVersions)) {
    return fail(Kind::invalid, "tlsMinVersion: '{}' is not one of {}", config.tls_min_version,
                fmt::join(kVersions, ", "));
  }
  if (config.tls_min_version < std::string("VersionTLS12")) {
    log::warning("tlsMinVersion: {} is not served, clients must speak VersionTLS12", config.tls_min_version);
  }
  KEELSON_TRY(auto ciphers, http::cipher_list(config.tls_cipher_suites).context("tlsCipherSuites"));
  // Suites of TLS 1.3 alone leave none for 1.2.
  const bool no_tls12 = ciphers.empty() && !config.tls_cipher_suites.empty();
  options.tls = {.certificate_file = config.tls_cert_file,
                 .key_file = config.tls_private_key_file,
                 .only_tls13 = no_tls12 || config.tls_min_version == "VersionTLS13",
                 .ciphers = std::move(ciphers)};
  options.pki_folder = cert_dir(config);
  if (config.server_tls_bootstrap && config.tls_cert_file.empty() && !config.kubeconfig.empty()) {
    // The heartbeat asks for it, and replaces it; somebody has to approve it first.
    options.tls.certificate_file = agent::serving_certificate_file(options.pki_folder);
    options.tls.key_file = options.tls.certificate_file;
    options.tls.certificate_setting = options.tls.key_setting = "serverTLSBootstrap";
    options.tls_comes_later = true;
  }
  return {};
}

uint16_t port_of(const Result<std::optional<http::BindAddress>>& address) {
  return address && *address ? (*address)->port : 0;
}

}  // namespace

uint16_t kubelet_port(const NodeConfig& config) {
  return port_of(where(config, config.kubelet_address, config.kubelet_port, kPort));
}

uint16_t kubelet_healthz_port(const NodeConfig& config) {
  return port_of(where(config, config.kubelet_healthz_address, config.kubelet_healthz_port, kKubeletHealthzPort));
}

Result<std::optional<agent::KubeletApiOptions>> kubelet_api_options(const NodeConfig& config,
                                                                    const std::vector<std::string>& addresses) {
  agent::KubeletApiOptions options;
  KEELSON_TRY(options.where, where(config, config.kubelet_address, config.kubelet_port, kPort));
  KEELSON_TRY(options.healthz,
              where(config, config.kubelet_healthz_address, config.kubelet_healthz_port, kKubeletHealthzPort));
  if (!options.where && !options.healthz) {
    return std::nullopt;
  }
  if (options.where && config.kubeconfig.empty() && config.authorization_mode == "Webhook") {
    return fail(Kind::invalid, "authorizationMode: Webhook asks an API server: give a kubeconfig, or AlwaysAllow");
  }
  KEELSON_DO(tls(config, options));
  KEELSON_DO(authentication(config, options.authentication));
  KEELSON_DO(authorization(config, options.authorization));
  if (!config.kubeconfig.empty()) {
    KEELSON_TRY(options.cluster, agent::node_access(config.kubeconfig, rotated_certificate(config)));
  }
  KEELSON_TRY(options.stream_idle,
              parse_duration(config.streaming_connection_idle_timeout).context("streamingConnectionIdleTimeout"));
  options.debugging_handlers = config.enable_debugging_handlers;
  options.profiling = config.enable_profiling_handler;
  options.logs.enabled = config.enable_system_log_handler;
  options.logs.linked = {config.pod_logs_dir};
  options.checkpoint_folder = config.root + "/checkpoints";
  options.node_addresses = addresses;
  options.cri_socket = cri_socket(config);
  options.image_socket = config.image_socket;
  static_cast<agent::UsageOptions&>(options.stats) = usage_options(config);
  options.stats.version = kubernetes_version();
  options.configuration = kubelet_configuration(config);
  return options;
}

}  // namespace keelson::cli
