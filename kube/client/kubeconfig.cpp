// SPDX-License-Identifier: Apache-2.0
// From a kubeconfig's tables to one ClusterAccess.
#include "kube/client/kubeconfig.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <boost/json.hpp>
#include <boost/url.hpp>

#include "common/base64.h"
#include "common/fd.h"
#include "kube/config.h"

namespace keelson::kube {

namespace {

constexpr std::string_view kExecVersions[] = {"client.authentication.k8s.io/v1",
                                              "client.authentication.k8s.io/v1beta1"};

/// The entry of this name of clusters, users or contexts.
template <class T>
Result<const T*> find_named(const std::vector<T>& list, const std::string& name, std::string_view field,
                            std::string_view wanted_by) {
  if (name.empty()) {
    return fail(Kind::invalid, "{}: Required value", wanted_by);
  }
  const auto it = std::ranges::find(list, name, &T::name);
  if (it == list.end()) {
    return fail(Kind::invalid, "{}: there is no \"{}\" in {}", wanted_by, name, field);
  }
  return &*it;
}

std::string beside(const std::string& folder, const std::string& path) {
  return path.empty() || path.starts_with('/') ? path : folder + "/" + path;
}

Result<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return fail(Kind::invalid, "not a port: {}", text);
  }
  return port;
}

Result<> parse_server(const std::string& text, ClusterAccess& access) {
  const auto url = boost::urls::parse_uri(text);
  if (!url || (url->scheme() != "https" && url->scheme() != "http") || url->host().empty() || url->has_userinfo() ||
      url->has_query() || url->has_fragment()) {
    return fail(Kind::invalid, "server: expected a URL such as https://10.0.0.1:6443");
  }
  access.tls = url->scheme() == "https";
  access.server.host = url->host_address();
  access.server.port = access.tls ? 443 : 80;
  if (!url->port().empty()) {
    auto port = parse_port(std::string_view(url->port().data(), url->port().size())).context("server");
    KEELSON_TRY(access.server.port, std::move(port));
  }
  access.prefix = std::string(url->encoded_path().data(), url->encoded_path().size());
  while (access.prefix.ends_with('/')) {
    access.prefix.pop_back();
  }
  return {};
}

Result<> read_cluster(const ConfigCluster& cluster, const std::string& folder, ClusterAccess& access) {
  KEELSON_DO(parse_server(cluster.server, access));
  if (!cluster.proxy_url.empty()) {
    return fail(Kind::unsupported, "proxy-url: a node reaches its API server without a proxy; remove the field");
  }
  access.tls_name = cluster.tls_server_name;
  access.verify = !cluster.insecure_skip_tls_verify;
  access.ca_pem = cluster.certificate_authority_data;
  const auto ca_file = beside(folder, cluster.certificate_authority);
  if (access.ca_pem.empty() && !ca_file.empty()) {
    auto text = read_file(ca_file).context("certificate-authority");
    KEELSON_TRY(access.ca_pem, std::move(text));
  }
  if (!access.ca_pem.empty() && access.ca_pem.find("-----BEGIN ") == std::string::npos) {
    return fail(Kind::invalid, "certificate-authority: not a certificate in PEM");
  }
  if (!access.ca_pem.empty() && !access.verify) {
    return fail(Kind::invalid,
                "insecure-skip-tls-verify: not together with certificate-authority, which would not be looked at");
  }
  return {};
}

/// KUBERNETES_EXEC_INFO (client.authentication.k8s.io ExecCredential.spec).
std::string exec_info(const ConfigExec& exec, const ConfigCluster& cluster, const ClusterAccess& access) {
  boost::json::object spec{{"interactive", false}};
  if (exec.provide_cluster_info) {
    boost::json::object about{{"server", cluster.server}};
    if (!access.tls_name.empty()) {
      about["tls-server-name"] = access.tls_name;
    }
    if (!access.verify) {
      about["insecure-skip-tls-verify"] = true;
    }
    if (!access.ca_pem.empty()) {
      about["certificate-authority-data"] = base64_of(access.ca_pem);
    }
    spec["cluster"] = std::move(about);
  }
  return boost::json::serialize(
      boost::json::object{{"kind", "ExecCredential"}, {"apiVersion", exec.api_version}, {"spec", std::move(spec)}});
}

Result<CredentialPlugin> read_exec(const ConfigExec& exec, const ConfigCluster& cluster, const std::string& folder,
                                   const ClusterAccess& access) {
  if (std::ranges::find(kExecVersions, exec.api_version) == std::end(kExecVersions)) {
    return fail(Kind::invalid, "exec.apiVersion: expected {} or {}", kExecVersions[0], kExecVersions[1]);
  }
  if (exec.command.empty()) {
    return fail(Kind::invalid, "exec.command: Required value");
  }
  if (exec.interactive_mode == "Always") {
    return fail(Kind::unsupported, "exec.interactiveMode: a node has no terminal; use Never or IfAvailable");
  }
  if (!exec.interactive_mode.empty() && exec.interactive_mode != "Never" && exec.interactive_mode != "IfAvailable") {
    return fail(Kind::invalid, "exec.interactiveMode: expected Never, IfAvailable or Always");
  }
  CredentialPlugin plugin{.api_version = exec.api_version,
                          .args = {exec.command},
                          .env = {},
                          .install_hint = exec.install_hint,
                          .info = exec_info(exec, cluster, access)};
  if (exec.command.find('/') != std::string::npos) {
    plugin.args[0] = beside(folder, exec.command);
  }
  plugin.args.insert(plugin.args.end(), exec.args.begin(), exec.args.end());
  for (const auto& [name, value] : exec.env) {
    plugin.env.push_back(fmt::format("{}={}", name, value));
  }
  return plugin;
}

Result<CredentialSource> read_user(const ConfigUser& user, const ConfigCluster& cluster, const std::string& folder,
                                   const ClusterAccess& access) {
  if (!user.unsupported.empty()) {
    return fail(Kind::unsupported, "{}: not for a node; use a token, a client certificate or an exec plugin",
                user.unsupported);
  }
  CredentialSource source{.token = user.token,
                          .token_file = beside(folder, user.token_file),
                          .certificate_pem = user.client_certificate_data,
                          .certificate_file = beside(folder, user.client_certificate),
                          .key_pem = user.client_key_data,
                          .key_file = beside(folder, user.client_key),
                          .plugin = {}};
  const bool certificate = !source.certificate_pem.empty() || !source.certificate_file.empty();
  const bool key = !source.key_pem.empty() || !source.key_file.empty();
  if (certificate != key) {
    return fail(Kind::invalid, "{}: Required value", certificate ? "client-key" : "client-certificate");
  }
  if (user.exec) {
    if (certificate || !user.token.empty() || !user.token_file.empty()) {
      return fail(Kind::invalid, "exec: not together with a token or a client certificate");
    }
    KEELSON_TRY(source.plugin, read_exec(*user.exec, cluster, folder, access));
  }
  const bool any = certificate || user.exec || !user.token.empty() || !user.token_file.empty();
  if (any && !access.tls) {
    return fail(Kind::invalid, "a credential is never sent to an http:// server; use https://");
  }
  return source;
}

Result<ClusterAccess> read_config(const std::string& text, const std::string& folder, const std::string& context,
                                  const Clock& clock) {
  KEELSON_TRY(const Config config, decode_config(text));
  const bool current = context.empty();
  KEELSON_TRY(const auto* entry, find_named(config.contexts, current ? config.current_context : context, "contexts",
                                            current ? "current-context" : "context"));
  const auto at = fmt::format("contexts[{}].context", entry->name);
  KEELSON_TRY(const auto* cluster, find_named(config.clusters, entry->cluster, "clusters", at + ".cluster"));
  ClusterAccess access;
  KEELSON_DO(read_cluster(*cluster, folder, access).context("clusters[{}].cluster", cluster->name));
  CredentialSource source;
  if (!entry->user.empty()) {
    KEELSON_TRY(const auto* user, find_named(config.users, entry->user, "users", at + ".user"));
    KEELSON_TRY(source, read_user(*user, *cluster, folder, access).context("users[{}].user", user->name));
  }
  access.credentials = std::make_shared<Credentials>(std::move(source), clock);
  return access;
}

}  // namespace

std::string to_string(const ServerAddress& address) {
  const bool ipv6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", address.host, ipv6 ? "]" : "", address.port);
}

Result<ServerAddress> parse_server_address(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return fail(Kind::invalid, "expected host:port");
  }
  ServerAddress address;
  KEELSON_TRY(address.port, parse_port(std::string_view(text).substr(colon + 1)));
  address.host = text.substr(0, colon);
  if (address.host.starts_with('[') && address.host.ends_with(']')) {
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.find(':') != std::string::npos) {
    return fail(Kind::invalid, "expected [address]:port");
  }
  return address;
}

Result<ClusterAccess> load_kubeconfig(const std::string& path, const std::string& context, const Clock& clock) {
  KEELSON_TRY(const auto text, read_file(path, 4 << 20));
  const size_t slash = path.rfind('/');
  const auto folder = slash == std::string::npos ? std::string(".") : path.substr(0, slash);
  return read_config(text, folder, context, clock).context("{}", path);
}

Result<ClusterAccess> in_cluster_access(const std::string& folder) {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || *host == '\0' || port == nullptr) {
    return fail(Kind::not_found,
                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no pod; give a kubeconfig");
  }
  ClusterAccess access;
  access.server.host = host;
  auto number = parse_port(port).context("KUBERNETES_SERVICE_PORT");
  KEELSON_TRY(access.server.port, std::move(number));
  KEELSON_TRY(access.ca_pem, read_file(folder + "/ca.crt"));
  access.credentials = std::make_shared<Credentials>(CredentialSource{.token_file = folder + "/token"});
  KEELSON_DO(access.credentials->get());
  return access;
}

}  // namespace keelson::kube
