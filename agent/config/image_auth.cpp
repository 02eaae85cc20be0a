// SPDX-License-Identifier: Apache-2.0
// Docker's config.json.
#include "agent/config/image_auth.h"

#include <optional>

#include <boost/json/parse.hpp>

namespace keelson::agent {

namespace json = boost::json;

namespace {

/// "https://index.docker.io/v1/" and "registry.example.com/path" to the host.
std::string host_of(std::string text) {
  if (auto scheme = text.find("://"); scheme != std::string::npos) {
    text.erase(0, scheme + 3);
  }
  text.resize(std::min(text.find('/'), text.size()));
  return text == "index.docker.io" || text == "registry-1.docker.io" ? "docker.io" : text;
}

std::string registry_of(const std::string& image) {
  auto slash = image.find('/');
  auto first = image.substr(0, slash);
  bool registry =
      slash != std::string::npos && (first.find_first_of(".:") != std::string::npos || first == "localhost");
  return registry ? host_of(first) : "docker.io";
}

std::string text(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::optional<cri::AuthConfig> find_in(const std::string& document, bool wrapped, const std::string& registry) {
  boost::system::error_code error;
  auto value = json::parse(document, error);
  const auto* object = error ? nullptr : value.if_object();
  if (object != nullptr && wrapped) {
    const auto* auths = object->if_contains("auths");
    object = auths != nullptr ? auths->if_object() : nullptr;
  }
  if (object == nullptr) {
    return std::nullopt;
  }
  for (const auto& [server, entry] : *object) {
    if (entry.is_object() && host_of(std::string(server)) == registry) {
      const auto& fields = entry.get_object();
      return cri::AuthConfig{.username = text(fields, "username"),
                             .password = text(fields, "password"),
                             .auth = text(fields, "auth"),
                             .server_address = std::string(server),
                             .identity_token = text(fields, "identitytoken"),
                             .registry_token = text(fields, "registrytoken")};
    }
  }
  return std::nullopt;
}

}  // namespace

cri::AuthConfig find_credentials(const kube::Pod& pod, const DesiredState& objects, const std::string& image) {
  auto registry = registry_of(image);
  for (const auto& name : pod.spec.image_pull_secrets) {
    auto secret = objects.secrets.find(pod.metadata.ns + "/" + name);
    if (secret == objects.secrets.end()) {
      continue;
    }
    for (auto [key, wrapped] : {std::pair{".dockerconfigjson", true}, std::pair{".dockercfg", false}}) {
      auto document = secret->second.data.find(key);
      if (document != secret->second.data.end()) {
        if (auto found = find_in(document->second, wrapped, registry)) {
          return *found;
        }
      }
    }
  }
  return {};
}

}  // namespace keelson::agent
