// SPDX-License-Identifier: Apache-2.0
// Reading hosts.toml.
#include "cri/image/hosts.h"

#include <strings.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

// Its own assertions are about what a file says, too: they must end the reading, not the daemon.
#define TOML_ASSERT(expression) \
  static_cast<void>((expression) ? 0 : throw std::invalid_argument("not TOML; look for a wrong key or quote"))
#include <toml++/toml.h>

#include "common/duration.h"
#include "common/fd.h"
#include "cri/key_pair.h"

namespace keelson::cri::image {

namespace {

constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

/// One hosts.toml while it is read.
struct File {
  std::string folder;
  std::string registry;
  std::string path() const { return folder + "/hosts.toml"; }
  /// A path that it names.
  std::string beside(const std::string& name) const { return name.starts_with('/') ? name : folder + "/" + name; }
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
    KEELSON_TRY(auto pem, read_certificates(file.beside(path)).context("ca"));
    host.tls.ca_pem += "\n" + pem;
  }
  return {};
}

/// One entry of `client`: certificate and key in one file (no second path), or in two.
Result<> read_client(const File& file, const std::string& certificate, const std::string& key, RegistryHost& host) {
  auto& pair = host.tls.client.emplace_back();
  const auto in = file.beside(certificate);
  const auto key_in = key.empty() ? in : file.beside(key);
  KEELSON_TRY(pair.certificate, read_certificates(in));
  KEELSON_TRY(pair.key, read_private_key(key_in));
  if (!fits(pair)) {
    return fail(Kind::invalid, "{}: not the key of the certificate in {}", key_in, in);
  }
  return {};
}

Result<> read_clients(const File& file, const toml::node& node, RegistryHost& host) {
  if (const auto* text = node.as_string()) {
    return read_client(file, text->get(), "", host).context("client");
  }
  const auto* list = node.as_array();
  if (list == nullptr) {
    return fail(Kind::invalid, "client: expected a text, or a list of texts or of pairs");
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const auto* text = list->get(i)->as_string();
    const auto* pair = list->get(i)->as_array();
    const bool two = pair != nullptr && pair->size() == 2 && pair->get(0)->is_string() && pair->get(1)->is_string();
    if (text == nullptr && !two) {
      return fail(Kind::invalid, "client[{}]: expected a text or a pair of texts", i);
    }
    KEELSON_DO(read_client(file, text != nullptr ? text->get() : pair->get(0)->as_string()->get(),
                           text != nullptr ? "" : pair->get(1)->as_string()->get(), host)
                   .context("client[{}]", i));
  }
  return {};
}

Result<> read_dial_timeout(const toml::node& node, RegistryHost& host) {
  const auto* text = node.as_string();
  if (text == nullptr) {
    return fail(Kind::invalid, "dial_timeout: expected a text like \"1s\"");
  }
  KEELSON_TRY(const auto limit, parse_duration(text->get()).context("dial_timeout"));
  host.dial_timeout = std::chrono::ceil<std::chrono::milliseconds>(limit);
  return {};
}

/// False if it is not there.
Result<bool> read_flag(const toml::table& table, const char* key) {
  const auto* node = table.get(key);
  if (node != nullptr && !node->is_boolean()) {
    return fail(Kind::invalid, "{}: expected true or false", key);
  }
  return node != nullptr && node->as_boolean()->get();
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
  if (names.empty()) {
    return {};  // all
  }
  host.resolve = host.pull = false;
  for (const auto& name : names) {
    const auto is = [&](const char* known) { return ::strcasecmp(name.c_str(), known) == 0; };
    if (!is("resolve") && !is("pull") && !is("push")) {
      return fail(Kind::invalid, "capabilities: \"{}\" is none of pull, resolve, push", name);
    }
    host.resolve |= is("resolve");
    host.pull |= is("pull");
  }
  return {};
}

Result<RegistryHost> read_host(const File& file, const std::string& url, const toml::table& table) {
  RegistryHost host;
  KEELSON_TRY(const auto whole_path, read_flag(table, "override_path"));
  KEELSON_DO(set_url(host, url, whole_path));
  KEELSON_TRY(host.tls.skip_verify, read_flag(table, "skip_verify"));
  if (const auto* node = table.get("client")) {
    KEELSON_DO(read_clients(file, *node, host));
  }
  if (const auto* node = table.get("dial_timeout")) {
    KEELSON_DO(read_dial_timeout(*node, host));
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

/// "r.test:5000" is "r.test_5000_" where a colon may not stand in a name.
std::string port_folder(std::string registry) {
  const auto colon = registry.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    registry[colon] = '_';
    registry += '_';
  }
  return registry;
}

}  // namespace

Result<std::vector<RegistryHost>> hosts_for(const std::string& config_dir, const std::string& registry) {
  for (const auto& name : {port_folder(registry), registry, std::string("_default")}) {
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
