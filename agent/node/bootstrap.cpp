// SPDX-License-Identifier: Apache-2.0
#include "agent/node/bootstrap.h"

#include <algorithm>
#include <filesystem>

#include "common/atomic_file.h"
#include "common/fd.h"
#include "kube/config.h"

namespace keelson::agent {

namespace {

namespace fs = std::filesystem;

template <class T>
const T* find_named(const std::vector<T>& list, const std::string& name) {
  const auto found = std::ranges::find(list, name, &T::name);
  return found != list.end() ? &*found : nullptr;
}

/// Paths of a kubeconfig begin at its folder.
std::string absolute(const std::string& path, const std::string& kubeconfig) {
  return path.empty() ? "" : (fs::path(kubeconfig).parent_path() / path).lexically_normal().string();
}

std::optional<kube::ConfigUser> user_of(const std::string& kubeconfig) {
  const auto text = read_file(kubeconfig);
  const auto config = text ? kube::decode_config(*text) : Result<kube::Config>(std::unexpected(text.error()));
  const auto* context = config ? find_named(config->contexts, config->current_context) : nullptr;
  const auto* user = context != nullptr ? find_named(config->users, context->user) : nullptr;
  return user != nullptr ? std::optional(*user) : std::nullopt;
}

}  // namespace

Result<> ensure_kubeconfig(const std::string& path, const std::string& bootstrap, const std::string& certificate_file) {
  if (std::error_code ignored; fs::exists(path, ignored)) {
    return {};
  }
  KEELSON_TRY(const auto text, read_file(bootstrap).context("bootstrapKubeconfig"));
  KEELSON_TRY(const auto config, kube::decode_config(text).context("bootstrapKubeconfig {}", bootstrap));
  const auto* context = find_named(config.contexts, config.current_context);
  const auto* cluster = context != nullptr ? find_named(config.clusters, context->cluster) : nullptr;
  if (cluster == nullptr) {
    return fail(Kind::invalid, "bootstrapKubeconfig {}: current-context names no cluster", bootstrap);
  }
  kube::Config node;
  auto& own = node.clusters.emplace_back(*cluster);
  own.name = "default";
  own.certificate_authority = absolute(cluster->certificate_authority, bootstrap);
  auto& user = node.users.emplace_back();
  user.name = "default";
  user.client_certificate = certificate_file;
  user.client_key = certificate_file;
  node.contexts.push_back({.name = "default", .cluster = "default", .user = "default"});
  node.current_context = "default";
  KEELSON_DO(make_directories(fs::path(path).parent_path(), 0755));
  return write_file_atomic(path, kube::encode_config(node), 0600, Durability::power);
}

std::optional<std::string> certificate_of_user(const std::string& kubeconfig) {
  const auto user = user_of(kubeconfig);
  if (!user || (user->client_certificate_data.empty() && user->client_certificate.empty())) {
    return std::nullopt;
  }
  return user->client_certificate_data.empty() ? absolute(user->client_certificate, kubeconfig) : "";
}

bool names_certificate(const std::string& kubeconfig, const std::string& certificate_file) {
  const auto user = user_of(kubeconfig);
  return user && user->client_certificate_data.empty() && user->client_key_data.empty() &&
         absolute(user->client_certificate, kubeconfig) == certificate_file &&
         absolute(user->client_key, kubeconfig) == certificate_file;
}

}  // namespace keelson::agent
