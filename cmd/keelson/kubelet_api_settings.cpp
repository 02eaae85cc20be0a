// SPDX-License-Identifier: Apache-2.0
// The settings of the kubelet API: the kubelet's own flags.
#include "cmd/keelson/config.h"

namespace keelson::cli {

namespace {

const Setting kSettings[] = {
    {"address", "--address", &NodeConfig::kubelet_address,
     "Role agent: the IP address that serves the kubelet API (0.0.0.0: all, of both families)"},
    {"port", "--port", &NodeConfig::kubelet_port,
     "Role agent: its port (0: not served; default: 10250 with a kubeconfig, otherwise not served)"},
    {"kubeletHealthzAddress", "--kubelet-healthz-address", &NodeConfig::kubelet_healthz_address,
     "Role agent: the IP address that serves /healthz alone, over plain HTTP"},
    {"healthzPort", "--healthz-port", &NodeConfig::kubelet_healthz_port,
     "Role agent: its port (0: not served; default: 10248 with a kubeconfig, otherwise not served)"},
    {"certDir", "--cert-dir", &NodeConfig::cert_dir,
     "Role agent: where a certificate of our own is kept when none is given (default: <root>/pki)"},
    {"tlsCertFile", "--tls-cert-file", &NodeConfig::tls_cert_file,
     "Role agent: certificate (PEM, its chain behind it) of the kubelet API; replaced files are used at once (default: "
     "one signed by itself)"},
    {"tlsPrivateKeyFile", "--tls-private-key-file", &NodeConfig::tls_private_key_file,
     "Role agent: the certificate's key (PEM)"},
    {"tlsMinVersion", "--tls-min-version", &NodeConfig::tls_min_version,
     "Role agent: the least that clients must speak: VersionTLS12 or VersionTLS13"},
    {"tlsCipherSuites", "--tls-cipher-suites", &NodeConfig::tls_cipher_suites,
     "Role agent: the suites of TLS 1.2 that are spoken, by Go's names (repeatable; default: OpenSSL's choice)"},
    {"enableDebuggingHandlers", "--enable-debugging-handlers", &NodeConfig::enable_debugging_handlers,
     "Role agent: serve logs, exec, attach and port-forward of containers; without, kubectl's verbs of these names "
     "fail"},
    {"enableProfilingHandler", "--profiling", &NodeConfig::enable_profiling_handler,
     "Role agent: serve /debug/pprof/ to who may nodes/proxy"},
    {"enableSystemLogHandler", "--enable-system-log-handler", &NodeConfig::enable_system_log_handler,
     "Kubelet API: show /var/log at /logs/ to whoever may nodes/log"},
    {"clientCAFile", "--client-ca-file", &NodeConfig::client_ca_file,
     "Role agent: who signs clients' certificates; their common name is the user, their organizations are the groups"},
    {"anonymousAuth", "--anonymous-auth", &NodeConfig::anonymous_auth,
     "Role agent: whoever shows no credential is system:anonymous, instead of refused"},
    {"authenticationTokenWebhook", "--authentication-token-webhook", &NodeConfig::token_webhook,
     "Role agent: ask the API server whose a bearer token is (TokenReview)"},
    {"authenticationTokenWebhookCacheTTL", "--authentication-token-webhook-cache-ttl",
     &NodeConfig::token_webhook_cache_ttl, "Role agent: how long its answer counts"},
    {"authorizationMode", "--authorization-mode", &NodeConfig::authorization_mode,
     "Role agent: Webhook (ask the API server who may what, SubjectAccessReview) or AlwaysAllow"},
    {"authorizationWebhookCacheAuthorizedTTL", "--authorization-webhook-cache-authorized-ttl",
     &NodeConfig::authorized_cache_ttl, "Role agent: how long a yes counts"},
    {"authorizationWebhookCacheUnauthorizedTTL", "--authorization-webhook-cache-unauthorized-ttl",
     &NodeConfig::unauthorized_cache_ttl, "Role agent: how long a no counts"},
    {"streamingConnectionIdleTimeout", "--streaming-connection-idle-timeout",
     &NodeConfig::streaming_connection_idle_timeout,
     "Role agent: ends an exec, attach or port-forward through the kubelet API on which nothing moves for so long"},
};

}  // namespace

std::span<const Setting> kubelet_api_settings() {
  return kSettings;
}

}  // namespace keelson::cli
