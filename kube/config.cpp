// SPDX-License-Identifier: Apache-2.0
// config.h: the fields' names (see reader.h).
#include "kube/config.h"

#include "kube/reader.h"
#include "kube/writer.h"

namespace keelson::kube {

void fields(auto& v, Of<ConfigCluster> auto& c) {
  v("name", c.name);
  v.object("cluster", [&](auto& cluster) {
    cluster("server", c.server);
    cluster("tls-server-name", c.tls_server_name);
    cluster("insecure-skip-tls-verify", c.insecure_skip_tls_verify);
    cluster("certificate-authority", c.certificate_authority);
    cluster.base64("certificate-authority-data", c.certificate_authority_data);
    cluster("proxy-url", c.proxy_url);
    cluster.ignored({"disable-compression", "extensions"});
  });
}

void fields(auto& v, Of<ConfigExec::Variable> auto& e) {
  v("name", e.name);
  v("value", e.value);
}

void fields(auto& v, Of<ConfigExec> auto& e) {
  v("apiVersion", e.api_version);
  v("command", e.command);
  v("args", e.args);
  v("env", e.env);
  v("installHint", e.install_hint);
  v("interactiveMode", e.interactive_mode);
  v("provideClusterInfo", e.provide_cluster_info);
}

void fields(auto& v, Of<ConfigUser> auto& u) {
  v("name", u.name);
  v.object("user", [&](auto& user) {
    user("client-certificate", u.client_certificate);
    user.base64("client-certificate-data", u.client_certificate_data);
    user("client-key", u.client_key);
    user.base64("client-key-data", u.client_key_data);
    user("token", u.token);
    user("tokenFile", u.token_file);
    user("exec", u.exec);
    user.unsupported({"auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra"},
                     u.unsupported);
    user.ignored({"extensions"});
  });
}

void fields(auto& v, Of<ConfigContext> auto& c) {
  v("name", c.name);
  v.object("context", [&](auto& context) {
    context("cluster", c.cluster);
    context("user", c.user);
    context.ignored({"namespace", "extensions"});
  });
}

void fields(auto& v, Of<Config> auto& c) {
  v.ignored({"apiVersion", "kind", "preferences", "extensions"});
  v("clusters", c.clusters);
  v("users", c.users);
  v("contexts", c.contexts);
  v("current-context", c.current_context);
}

void fields(auto& v, Of<ExecCredential> auto& e) {
  v("apiVersion", e.api_version);
  v("kind", e.kind);
  v.ignored({"spec"});
  v.object("status", [&](auto& status) {
    status("expirationTimestamp", e.expiration);
    status("token", e.token);
    status("clientCertificateData", e.client_certificate);
    status("clientKeyData", e.client_key);
  });
}

namespace {

std::unexpected<Error> refuse(const Finding& finding) {
  return fail(Kind::invalid, "line {}: {}: {}", finding.line, finding.path, finding.text);
}

/// `strict`: unknown fields are refused.
template <class T>
Result<T> decode_one(std::string_view text, bool strict) {
  auto trees = read_trees(text);
  if (trees.size() != 1) {
    return fail(Kind::invalid, "expected one document, got {}", trees.size());
  }
  const Tree& tree = trees.front();
  if (tree.error) {
    return fail(Kind::invalid, "line {}: {}", tree.error->line, tree.error->text);
  }
  if (tree.root.type != Value::Type::map) {
    return fail(Kind::invalid, "expected a map, got {}", type_name(tree.root.type));
  }
  T object;
  Findings findings;
  read_value(tree.root, Path{}, object, findings);
  if (!findings.errors.empty()) {
    return refuse(findings.errors.front());
  }
  if (strict && !findings.warnings.empty()) {
    return refuse(findings.warnings.front());
  }
  return object;
}

}  // namespace

Result<Config> decode_config(std::string_view text) {
  return decode_one<Config>(text, true);
}

std::string encode_config(const Config& config) {
  Writer writer;
  writer.always("apiVersion", std::string("v1"));
  writer.always("kind", std::string("Config"));
  fields(writer, config);
  return print_yaml(writer.take());
}

Result<ExecCredential> decode_exec_credential(std::string_view text) {
  return decode_one<ExecCredential>(text, false);
}

}  // namespace keelson::kube
