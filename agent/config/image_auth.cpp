// SPDX-License-Identifier: Apache-2.0
// Docker's config.json.
#include "agent/config/image_auth.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <filesystem>

#include <boost/algorithm/string/split.hpp>
#include <boost/json/parse.hpp>

#include "common/fd.h"

namespace keelson::agent {

namespace json = boost::json;

namespace {

constexpr std::string_view kDefaultRegistry = "index.docker.io";

/// A server of a secret, or an image's name: "host[:port]" and the path behind it, without a slash at its end.
struct Place {
  std::string host;
  std::string path;
};

Place place_of(std::string text) {
  if (auto scheme = text.find("://"); scheme != std::string::npos) {
    text.erase(0, scheme + 3);
  }
  auto slash = std::min(text.find('/'), text.size());
  Place place{text.substr(0, slash), text.substr(slash)};
  if (place.path == "/v1/" || place.path == "/v2/" || place.path == "/v1" || place.path == "/v2") {
    place.path.clear();  // docker login's old names of a whole registry
  }
  while (place.path.ends_with('/')) {
    place.path.pop_back();
  }
  if (place.host == "docker.io" || place.host == "registry-1.docker.io") {
    place.host = kDefaultRegistry;
  }
  return place;
}

Place place_of_image(const std::string& image) {
  auto slash = image.find('/');
  auto first = image.substr(0, slash);
  bool registry =
      slash != std::string::npos && (first.find_first_of(".:") != std::string::npos || first == "localhost");
  return place_of(registry ? image : fmt::format("{}/{}", kDefaultRegistry, image));
}

std::vector<std::string> labels_of(std::string_view host) {
  std::vector<std::string> labels;
  boost::algorithm::split(labels, host, [](char c) { return c == '.' || c == ':'; });
  return labels;
}

/// As the kubelet's keyring: as many labels, each a glob of its own ("*.example.com"), the same port, and a path that
/// the image's begins with.
bool matches(const Place& server, const Place& image) {
  auto globs = labels_of(server.host);
  auto labels = labels_of(image.host);
  return globs.size() == labels.size() &&
         (server.host.find(':') == std::string::npos) == (image.host.find(':') == std::string::npos) &&
         std::ranges::equal(
             globs, labels,
             [](const auto& glob, const auto& label) { return ::fnmatch(glob.c_str(), label.c_str(), 0) == 0; }) &&
         image.path.starts_with(server.path);
}

std::string text(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

struct Found {
  Place server;
  cri::AuthConfig auth;
};

void find_in(const std::string& document, bool wrapped, const Place& image, std::vector<Found>& found) {
  boost::system::error_code error;
  auto value = json::parse(document, error);
  const auto* object = error ? nullptr : value.if_object();
  if (object != nullptr && wrapped) {
    const auto* auths = object->if_contains("auths");
    object = auths != nullptr ? auths->if_object() : nullptr;
  }
  if (object == nullptr) {
    return;
  }
  for (const auto& [server, entry] : *object) {
    auto place = place_of(std::string(server));
    if (entry.is_object() && matches(place, image)) {
      const auto& fields = entry.get_object();
      found.push_back({place, cri::AuthConfig{.username = text(fields, "username"),
                                              .password = text(fields, "password"),
                                              .auth = text(fields, "auth"),
                                              .server_address = std::string(server),
                                              .identity_token = text(fields, "identitytoken"),
                                              .registry_token = text(fields, "registrytoken")}});
    }
  }
}

std::vector<cri::AuthConfig> in_order(std::vector<Found> found) {
  // The most particular first; of equals, as they were found.
  std::ranges::stable_sort(found, std::greater(), [](const Found& one) { return one.server.path.size(); });
  std::vector<cri::AuthConfig> credentials;
  for (auto& one : found) {
    credentials.push_back(std::move(one.auth));
  }
  return credentials;
}

}  // namespace

std::vector<cri::AuthConfig> find_credentials(const kube::Pod& pod, const kube::DesiredState& objects,
                                              const std::string& image) {
  auto place = place_of_image(image);
  std::vector<Found> found;
  for (const auto& name : pod.spec.image_pull_secrets) {
    auto secret = objects.secrets.find(pod.metadata.ns + "/" + name);
    if (secret == objects.secrets.end()) {
      continue;
    }
    for (auto [key, wrapped] : {std::pair{".dockerconfigjson", true}, std::pair{".dockercfg", false}}) {
      auto document = secret->second.data.find(key);
      if (document != secret->second.data.end()) {
        find_in(document->second, wrapped, place, found);
      }
    }
  }
  return in_order(std::move(found));
}

std::vector<cri::AuthConfig> find_logins(const std::vector<LoginDocument>& documents, const std::string& image) {
  const auto place = place_of_image(image);
  std::vector<Found> found;
  for (const auto& document : documents) {
    find_in(document.text, document.wrapped, place, found);
  }
  return in_order(std::move(found));
}

std::vector<LoginDocument> read_logins(const std::vector<LoginFile>& files) {
  for (const auto& file : files) {
    auto text = read_file(file.path);
    boost::system::error_code broken;
    if (text && json::parse(*text, broken).is_object() && !broken) {
      return {{*std::move(text), file.wrapped}};
    }
  }
  return {};
}

bool image_matches(const std::string& glob, const std::string& image) {
  return matches(place_of(glob), place_of_image(image));
}

std::vector<LoginFile> login_files(const std::string& root, const std::string& home) {
  std::error_code gone;
  const std::string here = std::filesystem::current_path(gone);
  std::vector<LoginFile> files;
  for (const auto& folder : {root, here, home + "/.docker", std::string("/.docker")}) {
    files.push_back({.path = folder + "/config.json", .wrapped = true});
  }
  for (const auto& folder : {root, here, home, std::string()}) {
    files.push_back({.path = folder + "/.dockercfg", .wrapped = false});
  }
  return files;
}

}  // namespace keelson::agent
