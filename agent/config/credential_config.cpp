// SPDX-License-Identifier: Apache-2.0
#include "agent/config/credential_config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include <yaml-cpp/yaml.h>

#include "common/duration.h"
#include "common/fd.h"
#include "common/sha256.h"
#include "kube/validation.h"

namespace keelson::agent {

namespace {

namespace fs = std::filesystem;

constexpr const char* kGroup = "kubelet.config.k8s.io/";
constexpr const char* kRequests = "credentialprovider.kubelet.k8s.io/";
constexpr const char* kVersions[] = {"v1", "v1beta1", "v1alpha1"};

/// Whether `text` is the group with a version that is known.
bool is_of(const std::string& text, std::string_view group) {
  return std::ranges::any_of(kVersions, [&](const char* version) { return text == std::string(group) + version; });
}

/// One document, and where it comes from.
class Document {
 public:
  explicit Document(const std::string& file) : file_(file) {}

  std::unexpected<Error> wrong(const YAML::Node& at, const std::string& what) const {
    return fail(Kind::invalid, "{}:{}: {}", file_, at.Mark().line + 1, what);
  }

  Result<> known(const YAML::Node& map, const std::string& path, std::initializer_list<std::string_view> names) const {
    if (!map.IsMap()) {
      return wrong(map, path + ": expected an object");
    }
    for (const auto& entry : map) {
      if (std::ranges::find(names, entry.first.Scalar()) == names.end()) {
        return wrong(entry.first,
                     fmt::format("{}{}{}: unknown field", path, path.empty() ? "" : ".", entry.first.Scalar()));
      }
    }
    return {};
  }

  Result<std::string> text(const YAML::Node& map, const std::string& path, const char* name) const {
    const YAML::Node value = map[name];
    if (!value || value.IsNull()) {
      return wrong(map, fmt::format("{}{}{}: required", path, path.empty() ? "" : ".", name));
    }
    if (!value.IsScalar()) {
      return wrong(value, fmt::format("{}{}{}: expected a string", path, path.empty() ? "" : ".", name));
    }
    return value.Scalar();
  }

  Result<bool> flag(const YAML::Node& map, const std::string& path, const char* name) const {
    KEELSON_TRY(const auto value, text(map, path, name));
    if (value != "true" && value != "false") {
      return wrong(map[name], fmt::format("{}.{}: expected true or false", path, name));
    }
    return value == "true";
  }

  Result<std::vector<std::string>> texts(const YAML::Node& map, const std::string& path, const char* name) const {
    std::vector<std::string> list;
    const YAML::Node value = map[name];
    if (!value || value.IsNull()) {
      return list;
    }
    for (const auto& item : value) {
      if (!item.IsScalar()) {
        return wrong(value, fmt::format("{}.{}: expected a list of strings", path, name));
      }
      list.push_back(item.Scalar());
    }
    return list;
  }

 private:
  const std::string& file_;
};

Result<> read_env(const Document& doc, const YAML::Node& list, const std::string& path, CredentialProvider& provider) {
  for (size_t i = 0; list && i < list.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", path, i);
    KEELSON_DO(doc.known(list[i], at, {"name", "value"}));
    KEELSON_TRY(auto name, doc.text(list[i], at, "name"));
    KEELSON_TRY(auto value, doc.text(list[i], at, "value"));
    provider.env.emplace_back(std::move(name), std::move(value));
  }
  return {};
}

/// Keys of annotations, each once.
Result<std::vector<std::string>> read_keys(const Document& doc, const YAML::Node& map, const std::string& path,
                                           const char* name) {
  KEELSON_TRY(auto keys, doc.texts(map, path, name));
  std::set<std::string> seen;
  for (const auto& key : keys) {
    if (const auto fault = kube::annotation_key_fault(key); !fault.empty()) {
      return doc.wrong(map[name], fmt::format("{}.{}: {}", path, name, fault));
    }
    if (!seen.insert(key).second) {
      return doc.wrong(map[name], fmt::format("{}.{}: {} is there twice", path, name, key));
    }
  }
  return keys;
}

/// The kubelet's rules (pkg/credentialprovider/plugin/config.go).
Result<TokenAttributes> read_token_attributes(const Document& doc, const YAML::Node& map, const std::string& path) {
  KEELSON_DO(doc.known(map, path,
                       {"serviceAccountTokenAudience", "cacheType", "requireServiceAccount",
                        "requiredServiceAccountAnnotationKeys", "optionalServiceAccountAnnotationKeys"}));
  TokenAttributes token;
  KEELSON_TRY(token.audience, doc.text(map, path, "serviceAccountTokenAudience"));
  if (token.audience.empty()) {
    return doc.wrong(map["serviceAccountTokenAudience"], path + ".serviceAccountTokenAudience: required");
  }
  KEELSON_TRY(const auto cache_type, doc.text(map, path, "cacheType"));
  if (cache_type != "ServiceAccount" && cache_type != "Token") {
    return doc.wrong(map["cacheType"],
                     fmt::format("{}.cacheType: '{}' is not one of ServiceAccount, Token", path, cache_type));
  }
  token.cache_type =
      cache_type == "Token" ? TokenAttributes::CacheType::token : TokenAttributes::CacheType::service_account;
  KEELSON_TRY(token.require_service_account, doc.flag(map, path, "requireServiceAccount"));
  constexpr const char* kRequired = "requiredServiceAccountAnnotationKeys";
  KEELSON_TRY(token.required_annotations, read_keys(doc, map, path, kRequired));
  KEELSON_TRY(token.optional_annotations, read_keys(doc, map, path, "optionalServiceAccountAnnotationKeys"));
  if (!token.required_annotations.empty() && !token.require_service_account) {
    return doc.wrong(map[kRequired], fmt::format("{}.{}: needs requireServiceAccount: true", path, kRequired));
  }
  for (const auto& key : token.required_annotations) {
    if (std::ranges::find(token.optional_annotations, key) != token.optional_annotations.end()) {
      return doc.wrong(map, fmt::format("{}: {} cannot be both a required and an optional annotation", path, key));
    }
  }
  return token;
}

/// `version`: of the file.
Result<CredentialProvider> read_provider(const Document& doc, const YAML::Node& map, const std::string& path,
                                         const std::string& version) {
  KEELSON_DO(doc.known(
      map, path, {"name", "matchImages", "defaultCacheDuration", "apiVersion", "args", "env", "tokenAttributes"}));
  CredentialProvider provider;
  KEELSON_TRY(provider.name, doc.text(map, path, "name"));
  if (provider.name.empty() || provider.name == "." || provider.name == ".." ||
      provider.name.find_first_of("/ ") != std::string::npos) {
    return doc.wrong(map["name"],
                     fmt::format("{}.name: '{}' is not a file's name without spaces", path, provider.name));
  }
  KEELSON_TRY(provider.api_version, doc.text(map, path, "apiVersion"));
  if (!is_of(provider.api_version, kRequests)) {
    return doc.wrong(map["apiVersion"], fmt::format("{}.apiVersion: '{}' is not one of {}v1, v1beta1, v1alpha1", path,
                                                    provider.api_version, kRequests));
  }
  KEELSON_TRY(provider.match_images, doc.texts(map, path, "matchImages"));
  if (provider.match_images.empty()) {
    return doc.wrong(map, path + ".matchImages: at least one is required");
  }
  KEELSON_TRY(const auto kept, doc.text(map, path, "defaultCacheDuration"));
  auto duration = parse_duration(kept);
  if (!duration) {
    return doc.wrong(map["defaultCacheDuration"],
                     fmt::format("{}.defaultCacheDuration: {}", path, duration.error().message()));
  }
  provider.default_cache_duration = *duration;
  KEELSON_TRY(provider.args, doc.texts(map, path, "args"));
  KEELSON_DO(read_env(doc, map["env"], path + ".env", provider));
  if (const YAML::Node token = map["tokenAttributes"]; token && !token.IsNull()) {
    const std::string at = path + ".tokenAttributes";
    if (version != std::string(kGroup) + "v1" || provider.api_version != std::string(kRequests) + "v1") {
      return doc.wrong(token, fmt::format("{}: needs version v1 of {} and {}", at, kGroup, kRequests));
    }
    KEELSON_TRY(provider.token, read_token_attributes(doc, token, at));
  }
  return provider;
}

/// The files of a folder that are read, or the file.
Result<std::vector<std::string>> files_of(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return std::vector{path};
  }
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const auto extension = entry.path().extension();
    if (!entry.is_directory(error) && (extension == ".json" || extension == ".yaml" || extension == ".yml")) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  if (files.empty()) {
    return fail(Kind::invalid, "{}: no *.json, *.yaml or *.yml in this folder", path);
  }
  return files;
}

/// The kubelet's hash of its files: the length of each, of eight bytes and big-endian, and then its text.
void add_file(Sha256& hash, const std::string& text) {
  std::string length;
  for (int shift = 56; shift >= 0; shift -= 8) {
    length += static_cast<char>(static_cast<uint64_t>(text.size()) >> shift & 0xff);
  }
  hash.update(length);
  hash.update(text);
}

}  // namespace

Result<std::vector<CredentialProvider>> parse_credential_config(const std::string& text, const std::string& file) {
  const Document doc(file);
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {
    return fail(Kind::invalid, "{}:{}: {}", file, error.mark.line + 1, error.msg);
  }
  KEELSON_DO(doc.known(root, "", {"apiVersion", "kind", "providers"}));
  KEELSON_TRY(const auto kind, doc.text(root, "", "kind"));
  KEELSON_TRY(const auto version, doc.text(root, "", "apiVersion"));
  if (kind != "CredentialProviderConfig" || !is_of(version, kGroup)) {
    return doc.wrong(root, fmt::format("expected apiVersion: {}v1 and kind: CredentialProviderConfig", kGroup));
  }
  std::vector<CredentialProvider> providers;
  for (size_t i = 0; root["providers"] && i < root["providers"].size(); ++i) {
    KEELSON_TRY(auto provider, read_provider(doc, root["providers"][i], fmt::format("providers[{}]", i), version));
    providers.push_back(std::move(provider));
  }
  if (providers.empty()) {
    return doc.wrong(root, "providers: at least one is required");
  }
  return providers;
}

Result<CredentialProviders> load_credential_config(const std::string& path, const std::string& plugins) {
  KEELSON_TRY(const auto files, files_of(path));
  CredentialProviders all;
  std::set<std::string> names;
  Sha256 hash;
  for (const auto& file : files) {
    KEELSON_TRY(auto text, read_file(file));
    add_file(hash, text);
    KEELSON_TRY(auto providers, parse_credential_config(text, file));
    for (auto& provider : providers) {
      if (!names.insert(provider.name).second) {
        return fail(Kind::invalid, "{}: providers: {} is there twice", file, provider.name);
      }
      const std::string program = plugins + "/" + provider.name;
      if (::access(program.c_str(), X_OK) != 0) {
        return fail(Kind::invalid, "{}: providers: {} is not a program in {}", file, provider.name, plugins);
      }
      all.list.push_back(std::move(provider));
    }
  }
  all.hash = "sha256:" + hex_of(hash.finish());
  return all;
}

}  // namespace keelson::agent
