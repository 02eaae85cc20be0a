// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/kubelet_api_options.h"

#include <boost/json.hpp>

#include "agent/node/heartbeat.h"
#include "cmd/keelson/membership.h"
#include "cmd/keelson/network_options.h"
#include "cmd/keelson/node.h"
#include "common/duration.h"

namespace keelson::cli {

namespace {

namespace json = boost::json;

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
  if (config.tls_min_version != "VersionTLS12" && config.tls_min_version != "VersionTLS13") {
    return fail(Kind::invalid, "tlsMinVersion: '{}' is not one of VersionTLS12, VersionTLS13", config.tls_min_version);
  }
  options.tls = {.certificate_file = config.tls_cert_file,
                 .key_file = config.tls_private_key_file,
                 .only_tls13 = config.tls_min_version == "VersionTLS13"};
  options.pki_folder = config.cert_dir.empty() ? config.root + "/pki" : config.cert_dir;
  if (config.server_tls_bootstrap && config.tls_cert_file.empty() && !config.kubeconfig.empty()) {
    // The heartbeat asks for it, and replaces it; somebody has to approve it first.
    options.tls.certificate_file = agent::serving_certificate_file(options.pki_folder);
    options.tls.key_file = options.tls.certificate_file;
    options.tls.certificate_setting = options.tls.key_setting = "serverTLSBootstrap";
    options.tls_comes_later = true;
  }
  return {};
}

json::array list(const std::vector<std::string>& texts) {
  json::array all;
  for (const auto& text : texts) {
    all.emplace_back(text);
  }
  return all;
}

}  // namespace

std::string kubelet_configuration(const NodeConfig& config) {
  const auto port = where(config, config.kubelet_address, config.kubelet_port, kPort);
  const auto healthz = where(config, config.kubelet_healthz_address, config.kubelet_healthz_port, kKubeletHealthzPort);
  const auto number = [](const auto& address) { return address && *address ? (*address)->port : 0; };
  return json::serialize(json::object{
      {"kind", "KubeletConfiguration"},
      {"apiVersion", "kubelet.config.k8s.io/v1beta1"},
      {"staticPodPath", config.manifest_dir},
      {"address", config.kubelet_address},
      {"port", number(port)},
      {"healthzBindAddress", config.kubelet_healthz_address},
      {"healthzPort", number(healthz)},
      {"readOnlyPort", 0},
      {"tlsCertFile", config.tls_cert_file},
      {"tlsPrivateKeyFile", config.tls_private_key_file},
      {"tlsMinVersion", config.tls_min_version},
      {"authentication", json::object{{"x509", json::object{{"clientCAFile", config.client_ca_file}}},
                                      {"webhook", json::object{{"enabled", config.token_webhook},
                                                               {"cacheTTL", config.token_webhook_cache_ttl}}},
                                      {"anonymous", json::object{{"enabled", config.anonymous_auth}}}}},
      {"authorization",
       json::object{{"mode", config.authorization_mode},
                    {"webhook", json::object{{"cacheAuthorizedTTL", config.authorized_cache_ttl},
                                             {"cacheUnauthorizedTTL", config.unauthorized_cache_ttl}}}}},
      {"clusterDomain", config.cluster_domain},
      {"clusterDNS", list(config.cluster_dns)},
      {"streamingConnectionIdleTimeout", config.streaming_connection_idle_timeout},
      {"cgroupRoot", config.cgroup_root},
      {"cgroupDriver", config.cgroup_driver},
      {"containerRuntimeEndpoint", "unix://" + cri_socket(config)},
      {"podLogsDir", config.pod_logs_dir}});
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
  options.node_addresses = addresses;
  options.cri_socket = cri_socket(config);
  options.stats.node_name = node_name(config);
  options.stats.root = config.root;
  options.stats.driver = driver_of(config);
  options.stats.cgroup_root = config.cgroup_root;
  options.stats.version = "v1.34.4";
  options.configuration = kubelet_configuration(config);
  return options;
}

}  // namespace keelson::cli
