// SPDX-License-Identifier: Apache-2.0
// The grammar of references.
#include "cri/image/reference.h"

#include <algorithm>

namespace keelson::cri::image {

namespace {

constexpr size_t kMaxName = 255;
constexpr size_t kMaxTag = 128;

bool lower_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool word(char c) {
  return lower_alphanumeric(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

/// One part of a path: runs of lower-case letters and digits, between them ".", "_", "__" or any number of "-".
bool valid_component(const std::string& text) {
  if (text.empty() || !lower_alphanumeric(text.front()) || !lower_alphanumeric(text.back())) {
    return false;
  }
  for (size_t i = 0; i < text.size();) {
    if (lower_alphanumeric(text[i])) {
      ++i;
      continue;
    }
    size_t end = text.find_first_of("abcdefghijklmnopqrstuvwxyz0123456789", i);
    std::string separator = text.substr(i, end - i);
    bool dashes = separator.find_first_not_of('-') == std::string::npos;
    if (!dashes && separator != "." && separator != "_" && separator != "__") {
      return false;
    }
    i = end;
  }
  return true;
}

bool valid_registry(const std::string& text) {
  auto colon = text.rfind(':');
  std::string host = text.substr(0, colon == std::string::npos || text.back() == ']' ? text.size() : colon);
  std::string port = host.size() < text.size() ? text.substr(host.size() + 1) : "0";
  if (host.empty() || port.empty() || port.find_first_not_of("0123456789") != std::string::npos) {
    return false;
  }
  if (host.front() == '[') {
    return host.back() == ']' && host.find_first_not_of("0123456789abcdefABCDEF:[]") == std::string::npos;
  }
  return host.front() != '-' && host.front() != '.' &&
         std::all_of(host.begin(), host.end(), [](char c) { return word(c) || c == '-' || c == '.'; });
}

std::unexpected<Error> wrong(const std::string& text, const char* what) {
  return fail(Kind::invalid, "invalid reference format: '{}': {}", text, what);
}

Result<> check_path(const std::string& text, const std::string& path) {
  for (size_t at = 0; at <= path.size();) {
    auto slash = std::min(path.find('/', at), path.size());
    auto component = path.substr(at, slash - at);
    if (!valid_component(component)) {
      bool upper = std::any_of(component.begin(), component.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
      return wrong(text, upper ? "repository name must be lowercase" : "the repository name is not one");
    }
    at = slash + 1;
  }
  return {};
}

}  // namespace

std::string Reference::text() const {
  return name() + (tag.empty() ? "" : ":" + tag) + (digest.empty() ? "" : "@" + digest);
}

bool valid_digest(const std::string& text) {
  return text.size() == 71 && text.starts_with("sha256:") &&
         text.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
}

Result<Reference> parse_reference(const std::string& text) {
  Reference reference;
  std::string rest = text;
  if (auto at = rest.find('@'); at != std::string::npos) {
    reference.digest = rest.substr(at + 1);
    rest.resize(at);
    if (!valid_digest(reference.digest)) {
      return wrong(text, "the digest is not sha256: and 64 hexadecimal digits");
    }
  }
  if (auto colon = rest.rfind(':'); colon != std::string::npos && rest.find('/', colon) == std::string::npos) {
    reference.tag = rest.substr(colon + 1);
    rest.resize(colon);
    bool good =
        !reference.tag.empty() && reference.tag.size() <= kMaxTag && word(reference.tag.front()) &&
        std::all_of(reference.tag.begin(), reference.tag.end(), [](char c) { return word(c) || c == '.' || c == '-'; });
    if (!good) {
      return wrong(text, "the tag is not one");
    }
  }
  auto slash = rest.find('/');
  std::string first = rest.substr(0, slash);
  // Docker's rule: what has a dot, a port or is "localhost" is a registry; everything else is on Docker Hub.
  bool registry = slash != std::string::npos &&
                  (first.find_first_of(".:") != std::string::npos || first == "localhost" ||
                   std::any_of(first.begin(), first.end(), [](char c) { return c >= 'A' && c <= 'Z'; }));
  reference.registry = registry ? first : "docker.io";
  reference.repository = registry ? rest.substr(slash + 1) : rest;
  if (reference.registry == "index.docker.io") {
    reference.registry = "docker.io";
  }
  if (reference.registry == "docker.io" && reference.repository.find('/') == std::string::npos) {
    reference.repository = "library/" + reference.repository;
  }
  if (!valid_registry(reference.registry)) {
    return wrong(text, "the registry is not a host name");
  }
  KEELSON_DO(check_path(text, reference.repository));
  if (reference.name().size() > kMaxName) {
    return wrong(text, "longer than 255 characters");
  }
  if (reference.tag.empty() && reference.digest.empty()) {
    reference.tag = "latest";
  }
  return reference;
}

}  // namespace keelson::cri::image
