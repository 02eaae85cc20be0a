// SPDX-License-Identifier: Apache-2.0
// Reading hosts.toml.
#include "cri/image/hosts.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

// Its own assertions are about what a file says, too: they must end the reading, not the daemon.
#define TOML_ASSERT(expression) \
  static_cast<void>((expression) ? 0 : throw std::invalid_argument("not TOML; look for a wrong key or quote"))
#include <toml++/toml.h>

#include "common/fd.h"

namespace keelson::cri::image {

namespace {

constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

/// One hosts.toml while it is read.
struct File {
  std::string folder;
  std::string registry;
  std::string path() const { return folder + "/hosts.toml"; }
};

std::string default_server(const std::string& registry) {
  auto host = registry.substr(0, registry.starts_with('[') ? registry.find(']') + 1 : registry.find(':'));
  bool local = host == "localhost" || host == "127.0.0.1" || host == "[::1]";
  return (local ? "http://" : "https://") + (registry == "docker.io" ? "registry-1.docker.io" : registry);
}

/// toml++ 3.3 runs into undefined behaviour at some characters outside ASCII, so they may stand in comment lines alone,
/// which it is not shown.
Result<std::string> without_comment_lines(const std::string& text) {
  std::string shown;
  size_t number = 0;
  for (size_t at = 0; at < text.size(); ++number) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    const auto first = line.find_first_not_of(" \t");
    const bool comment = first != line.npos && line[first] == '#';
    if (!comment && std::ranges::any_of(line, [](char c) { return static_cast<unsigned char>(c) >= 0x80; })) {
      return fail(Kind::invalid, "line {}: a character outside ASCII; only comment lines may have those", number + 1);
    }
    shown += comment ? "\n" : line + "\n";
    at = end + 1;
  }
  return shown;
}

/// The API's URL and the name for messages; a server without a scheme gets the one it would have as a registry.
Result<> set_url(RegistryHost& host, const std::string& text, bool whole_path) {
  auto scheme = text.find("://");
  host.url = scheme == std::string::npos ? default_server(text) : text;
  bool known = host.url.starts_with("https://") || host.url.starts_with("http://");
  auto start = host.url.find("://") + 3;
  host.name = host.url.substr(start, host.url.find('/', start) - start);
  if (!known || host.name.empty() || host.name.find('@') != std::string::npos ||
      host.url.find_first_of("?# ") != std::string::npos) {
    return fail(Kind::invalid, "expected http:// or https://, a host and maybe a path");
  }
  while (host.url.ends_with('/')) {
    host.url.pop_back();
  }
  if (!whole_path && !host.url.ends_with("/v2")) {
    host.url += "/v2";
  }
  return {};
}

/// A text, or a list of texts.
Result<std::vector<std::string>> texts(const toml::node& node, std::string_view key) {
  std::vector<std::string> out;
  if (const auto* text = node.as_string()) {
    out.push_back(text->get());
    return out;
  }
  const auto* list = node.as_array();
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const auto* text = list->get(i)->as_string();
    if (text == nullptr) {
      return fail(Kind::invalid, "{}[{}]: expected a text", key, i);
    }
    out.push_back(text->get());
  }
  if (list == nullptr) {
    return fail(Kind::invalid, "{}: expected a text or a list of texts", key);
  }
  return out;
}

Result<> read_authorities(const File& file, const toml::node& node, RegistryHost& host) {
  KEELSON_TRY(auto paths, texts(node, "ca"));
  // Beside the system's, as containerd has it.
  host.tls.ca_pem = read_file(kSystemAuthorities).value_or("");
  for (const auto& path : paths) {
    KEELSON_TRY(auto pem, read_file(path.starts_with('/') ? path : file.folder + "/" + path));
    host.tls.ca_pem += "\n" + pem;
  }
  return {};
}

Result<> read_headers(const toml::table& table, RegistryHost& host) {
  for (const auto& [key, node] : table) {
    KEELSON_TRY(auto values, texts(node, "header." + std::string(key.str())));
    for (const auto& value : values) {
      if ((std::string(key.str()) + value).find_first_of("\r\n") != std::string::npos) {
        return fail(Kind::invalid, "header.{}: a line break", key.str());
      }
      host.headers.push_back(std::string(key.str()) + ": " + value);
    }
  }
  return {};
}

Result<> read_capabilities(const toml::node& node, RegistryHost& host) {
  KEELSON_TRY(auto names, texts(node, "capabilities"));
  host.resolve = std::find(names.begin(), names.end(), "resolve") != names.end();
  host.pull = std::find(names.begin(), names.end(), "pull") != names.end();
  return {};
}

Result<RegistryHost> read_host(const File& file, const std::string& url, const toml::table& table) {
  RegistryHost host;
  KEELSON_DO(set_url(host, url, table["override_path"].value_or(false)));
  host.tls.skip_verify = table["skip_verify"].value_or(false);
  if (table.contains("client")) {
    return fail(Kind::unsupported, "client: certificates of our own are not supported");
  }
  if (const auto* node = table.get("capabilities")) {
    KEELSON_DO(read_capabilities(*node, host));
  }
  if (const auto* node = table.get("ca")) {
    KEELSON_DO(read_authorities(file, *node, host));
  }
  if (const auto* headers = table["header"].as_table()) {
    KEELSON_DO(read_headers(*headers, host));
  }
  return host;
}

Result<std::vector<RegistryHost>> read_hosts(const File& file, const toml::table& table) {
  std::vector<std::pair<toml::source_position, RegistryHost>> mirrors;
  if (const auto* hosts = table["host"].as_table()) {
    for (const auto& [key, node] : *hosts) {
      const auto* entry = node.as_table();
      if (entry == nullptr) {
        return fail(Kind::invalid, "host.\"{}\": expected a table", key.str());
      }
      KEELSON_TRY(auto host,
                  read_host(file, std::string(key.str()), *entry).context("host.\"{}\"", std::string(key.str())));
      host.query = "ns=" + url_encode(file.registry);
      mirrors.emplace_back(key.source().begin, std::move(host));
    }
  }
  std::sort(mirrors.begin(), mirrors.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<RegistryHost> out;
  for (auto& [position, host] : mirrors) {
    out.push_back(std::move(host));
  }
  auto server = table["server"].value_or(default_server(file.registry));
  KEELSON_TRY(auto origin, read_host(file, server, table).context("server"));
  origin.origin = true;
  out.push_back(std::move(origin));
  return out;
}

}  // namespace

Result<std::vector<RegistryHost>> hosts_for(const std::string& config_dir, const std::string& registry) {
  for (const auto& name : {registry, std::string("_default")}) {
    File file{.folder = config_dir + "/" + name, .registry = registry};
    auto text = config_dir.empty() ? Result<std::string>(fail(Kind::not_found, "no folder")) : read_file(file.path());
    if (!text && text.error().kind() == Kind::not_found) {
      continue;
    }
    if (!text) {
      return std::unexpected(std::move(text).error());
    }
    KEELSON_TRY(const auto shown, without_comment_lines(*text).context("{}", file.path()));
    try {
      return read_hosts(file, toml::parse(shown)).context("{}", file.path());
    } catch (const toml::parse_error& error) {
      return fail(Kind::invalid, "{}:{}: {}", file.path(), error.source().begin.line, error.description());
    } catch (const std::invalid_argument& error) {
      return fail(Kind::invalid, "{}: {}", file.path(), error.what());
    }
  }
  RegistryHost origin;
  KEELSON_DO(set_url(origin, default_server(registry), false).context("registry {}", registry));
  origin.origin = true;
  return std::vector<RegistryHost>{origin};
}

}  // namespace keelson::cri::image
