// SPDX-License-Identifier: Apache-2.0
// Reading image JSON, all of it foreign.
#include "cri/image/manifest.h"

#include <sys/utsname.h>

#include <boost/json/parse.hpp>

#include "cri/image/reference.h"

namespace keelson::cri::image {

namespace json = boost::json;

namespace {

constexpr size_t kMaxLayers = 500;

Result<json::object> parse_object(const std::string& text, const char* what) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 64;
  auto value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) {
    return fail(Kind::invalid, "{}: not a JSON object", what);
  }
  return std::move(value.as_object());
}

std::string text_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

const json::object* object_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

std::vector<std::string> texts_at(const json::object& object, std::string_view key) {
  std::vector<std::string> out;
  const auto* value = object.if_contains(key);
  if (value != nullptr && value->is_array()) {
    for (const auto& item : value->get_array()) {
      if (item.is_string()) {
        out.emplace_back(item.get_string());
      }
    }
  }
  return out;
}

Result<Descriptor> parse_descriptor(const json::value& value, const std::string& path) {
  const auto* object = value.if_object();
  if (object == nullptr) {
    return fail(Kind::invalid, "manifest: {}: expected an object", path);
  }
  Descriptor descriptor{
      .media_type = text_at(*object, "mediaType"), .digest = text_at(*object, "digest"), .size = 0, .annotations = {}};
  if (!valid_digest(descriptor.digest)) {
    return fail(Kind::invalid, "manifest: {}.digest: '{}' is not a sha256 digest", path, descriptor.digest);
  }
  const auto* size = object->if_contains("size");
  if (size == nullptr || !size->is_int64() || size->get_int64() < 0) {
    return fail(Kind::invalid, "manifest: {}.size: expected a number of bytes", path);
  }
  descriptor.size = static_cast<uint64_t>(size->get_int64());
  if (const auto* annotations = object_at(*object, "annotations")) {
    for (const auto& [key, text] : *annotations) {
      if (text.is_string()) {
        descriptor.annotations[std::string(key)] = std::string(text.get_string());
      }
    }
  }
  return descriptor;
}

/// 2: right architecture and the plain variant, 1: right architecture, 0: another platform.
int fitness(const json::value& entry, const std::string& architecture) {
  const auto* object = entry.if_object();
  const auto* platform = object != nullptr ? object_at(*object, "platform") : nullptr;
  if (platform == nullptr) {
    return 1;
  }
  if (text_at(*platform, "os") != "linux" || text_at(*platform, "architecture") != architecture) {
    return 0;
  }
  auto variant = text_at(*platform, "variant");
  return variant.empty() || variant == "v8" ? 2 : 1;
}

Result<ManifestOrIndex> parse_index(const json::array& manifests, const std::string& architecture) {
  ManifestOrIndex out{.index = true, .manifest = {}, .chosen = {}, .entries = {}};
  int best = 0;
  for (size_t i = 0; i < manifests.size(); ++i) {
    KEELSON_TRY(auto descriptor, parse_descriptor(manifests[i], fmt::format("manifests[{}]", i)));
    if (int fit = fitness(manifests[i], architecture); fit > best) {
      best = fit;
      out.chosen = descriptor;
    }
    out.entries.push_back(std::move(descriptor));
  }
  if (best == 0) {
    return fail(Kind::not_found, "the image has no manifest for linux/{}", architecture);
  }
  return out;
}

}  // namespace

std::string this_architecture() {
  utsname name{};
  ::uname(&name);
  std::string machine = name.machine;
  if (machine == "x86_64") {
    return "amd64";
  }
  return machine == "aarch64" ? "arm64" : machine;
}

Result<ManifestOrIndex> parse_manifest(const std::string& text, const std::string& architecture) {
  KEELSON_TRY(auto object, parse_object(text, "manifest"));
  const auto* version = object.if_contains("schemaVersion");
  if (version != nullptr && version->is_int64() && version->get_int64() == 1) {
    return fail(Kind::unsupported,
                "manifest: Docker schema 1 is not supported; push the image again with a current tool");
  }
  if (const auto* manifests = object.if_contains("manifests"); manifests != nullptr && manifests->is_array()) {
    return parse_index(manifests->get_array(), architecture);
  }
  ManifestOrIndex out;
  const auto* config = object.if_contains("config");
  const auto* layers = object.if_contains("layers");
  if (config == nullptr || layers == nullptr || !layers->is_array()) {
    return fail(Kind::invalid, "manifest: neither a list of manifests nor config and layers");
  }
  KEELSON_TRY(out.manifest.config, parse_descriptor(*config, "config"));
  if (layers->get_array().size() > kMaxLayers) {
    return fail(Kind::exhausted, "manifest: more than {} layers", kMaxLayers);
  }
  for (size_t i = 0; i < layers->get_array().size(); ++i) {
    KEELSON_TRY(auto layer, parse_descriptor(layers->get_array()[i], fmt::format("layers[{}]", i)));
    out.manifest.layers.push_back(std::move(layer));
  }
  return out;
}

Result<Config> parse_config(const std::string& text) {
  KEELSON_TRY(auto object, parse_object(text, "image config"));
  Config config;
  const auto* rootfs = object_at(object, "rootfs");
  if (rootfs == nullptr) {
    return fail(Kind::invalid, "image config: rootfs is missing");
  }
  config.diff_ids = texts_at(*rootfs, "diff_ids");
  for (size_t i = 0; i < config.diff_ids.size(); ++i) {
    if (!valid_digest(config.diff_ids[i])) {
      return fail(Kind::invalid, "image config: rootfs.diff_ids[{}]: '{}' is not a sha256 digest", i,
                  config.diff_ids[i]);
    }
  }
  const auto* settings = object_at(object, "config");
  if (settings == nullptr) {
    return config;
  }
  config.entrypoint = texts_at(*settings, "Entrypoint");
  config.command = texts_at(*settings, "Cmd");
  config.env = texts_at(*settings, "Env");
  config.working_dir = text_at(*settings, "WorkingDir");
  config.user = text_at(*settings, "User");
  config.stop_signal = text_at(*settings, "StopSignal");
  if (const auto* volumes = object_at(*settings, "Volumes")) {
    for (const auto& [path, ignored] : *volumes) {
      config.volumes.emplace_back(path);
    }
  }
  if (const auto* labels = object_at(*settings, "Labels")) {
    for (const auto& [key, value] : *labels) {
      config.labels[std::string(key)] = value.is_string() ? std::string(value.get_string()) : "";
    }
  }
  return config;
}

}  // namespace keelson::cri::image
