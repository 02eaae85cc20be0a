// SPDX-License-Identifier: Apache-2.0
// Challenges and tokens.
#include "cri/image/auth.h"

#include <algorithm>
#include <cctype>

#include <boost/json/parse.hpp>

#include "common/base64.h"

namespace keelson::cri::image {

namespace json = boost::json;

namespace {

constexpr size_t kMaxAnswer = 1 << 20;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// Reads tokens and quoted texts from a header's value.
struct Reader {
  const std::string& text;
  size_t at = 0;

  void skip(const char* what) { at = std::min(text.find_first_not_of(what, at), text.size()); }
  std::string token() {
    size_t end = std::min(text.find_first_of(" ,=\t", at), text.size());
    auto out = text.substr(at, end - at);
    at = end;
    return out;
  }
  std::string value() {
    if (at >= text.size() || text[at] != '"') {
      return token();
    }
    std::string out;
    for (++at; at < text.size() && text[at] != '"'; ++at) {
      at += text[at] == '\\' && at + 1 < text.size() ? 1 : 0;
      out += text[at];
    }
    ++at;
    return out;
  }
};

Result<std::string> token_in(const std::string& text) {
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (!error && value.is_object()) {
    for (const char* key : {"token", "access_token"}) {
      const auto* token = value.get_object().if_contains(key);
      if (token != nullptr && token->is_string() && !token->get_string().empty()) {
        return std::string(token->get_string());
      }
    }
  }
  return fail(Kind::permission, "the realm's answer has no token");
}

Result<std::string> fetch_token(HttpClient& client, const Challenge& challenge, const Credentials& credentials,
                                const std::string& scope, bool plain, HttpRequest request) {
  auto get = [&](const char* key) {
    auto found = challenge.parameters.find(key);
    return found == challenge.parameters.end() ? std::string() : found->second;
  };
  auto realm = get("realm");
  if (!realm.starts_with("https://") && !(plain && realm.starts_with("http://"))) {
    return fail(Kind::permission, "the registry's realm for tokens is not an https URL");
  }
  auto wanted = get("scope").empty() ? scope : get("scope");
  auto query = "service=" + url_encode(get("service")) + "&scope=" + url_encode(wanted);
  request.url = realm;
  request.headers.clear();
  if (!credentials.identity_token.empty()) {
    request.form =
        query + "&grant_type=refresh_token&client_id=keelson&refresh_token=" + url_encode(credentials.identity_token);
  } else {
    request.url += (realm.find('?') == std::string::npos ? "?" : "&") + query;
    KEELSON_TRY(auto basic, basic_authorization(credentials));
    if (!basic.empty()) {
      request.headers.push_back("Authorization: " + basic);
    }
  }
  std::string text;
  request.body = [&](int, std::string_view data) -> Result<> {
    if (text.size() + data.size() > kMaxAnswer) {
      return fail(Kind::invalid, "the answer is too long");
    }
    text += data;
    return {};
  };
  KEELSON_TRY(auto response, client.send(request));
  if (response.status != 200) {
    return std::unexpected(
        Error(response.status >= 500 || response.status == 429 ? Kind::unavailable : Kind::permission,
              fmt::format("HTTP {}", response.status), response.status));
  }
  return token_in(text);
}

}  // namespace

std::vector<Challenge> parse_challenges(const std::string& header) {
  std::vector<Challenge> out;
  Reader reader{.text = header};
  for (reader.skip(" ,\t"); reader.at < header.size(); reader.skip(" ,\t=")) {
    auto name = reader.token();
    if (reader.at < header.size() && header[reader.at] == '=') {
      ++reader.at;
      auto value = reader.value();
      if (!out.empty()) {
        out.back().parameters[lower(name)] = value;
      }
    } else {
      out.push_back({.scheme = lower(name), .parameters = {}});
    }
  }
  return out;
}

Result<std::string> basic_authorization(const Credentials& credentials) {
  if (!credentials.username.empty()) {
    return "Basic " + base64_of(credentials.username + ":" + credentials.password);
  }
  if (credentials.auth.empty()) {
    return "";
  }
  KEELSON_TRY(auto pair, from_base64(credentials.auth).context("credentials: auth"));
  pair.erase(std::min(pair.find('\0'), pair.size()));  // some tools encode what they pad
  if (pair.find(':') == std::string::npos) {
    return fail(Kind::invalid, "credentials: auth has no ':'");
  }
  return "Basic " + base64_of(pair);
}

Result<std::string> answer(HttpClient& client, const std::vector<std::string>& challenges,
                           const Credentials& credentials, const std::string& scope, bool plain, HttpRequest request) {
  for (const auto& header : challenges) {
    for (const auto& challenge : parse_challenges(header)) {
      if (challenge.scheme == "bearer") {
        KEELSON_TRY(
            auto token,
            fetch_token(client, challenge, credentials, scope, plain, std::move(request)).context("authorization"));
        return "Bearer " + token;
      }
      if (challenge.scheme == "basic") {
        KEELSON_TRY(auto basic, basic_authorization(credentials));
        if (!basic.empty()) {
          return basic;
        }
      }
    }
  }
  return std::unexpected(
      Error(Kind::permission, "HTTP 401: the registry wants credentials; check imagePullSecrets", 401));
}

}  // namespace keelson::cri::image
