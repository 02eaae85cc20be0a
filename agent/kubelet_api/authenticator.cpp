// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/authenticator.h"

#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>

namespace keelson::agent {

namespace {

constexpr std::string_view kAuthenticated = "system:authenticated";

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  ::RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count));
  return bytes;
}

std::string key_of(const std::string& token, const std::string& secret) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  ::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest, &size);
  return {reinterpret_cast<char*>(digest), size};
}

kube::UserInfo with_group(kube::UserInfo user) {
  if (std::ranges::find(user.groups, kAuthenticated) == user.groups.end()) {
    user.groups.emplace_back(kAuthenticated);
  }
  return user;
}

}  // namespace

std::string bearer_token(const http::Request& request) {
  const auto text = request.header("Authorization");
  const size_t blank = text.find(' ');
  if (blank == text.npos) {
    return "";
  }
  auto scheme = text.substr(0, blank);
  std::ranges::transform(scheme, scheme.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto token = text.substr(std::min(text.find_first_not_of(' ', blank), text.size()));
  return scheme == "bearer" ? token.substr(0, token.find(' ')) : "";
}

Authenticator::Authenticator(Loop& loop, AuthenticationOptions options, Reviewer* reviewer)
    : options_(std::move(options)), reviewer_(reviewer), reviews_(loop), secret_(random_bytes(32)) {}

Result<std::unique_ptr<Authenticator>> Authenticator::make(Loop& loop, AuthenticationOptions options,
                                                           Reviewer* reviewer) {
  std::unique_ptr<Authenticator> made(new Authenticator(loop, std::move(options), reviewer));
  if (const auto& file = made->options_.client_ca_file; !file.empty()) {
    KEELSON_TRY(made->authority_, ClientAuthority::open(file).context("clientCAFile"));
  }
  return made;
}

Task<kube::UserInfo> Authenticator::user_of_token(std::string token) {
  auto key = key_of(token, secret_);
  auto ask = [reviewer = reviewer_, token = std::move(token)] {
    return reviewer->review(kube::TokenReview{.token = token});
  };
  auto keep_for = [this](const kube::TokenReview& review) {
    return review.error.empty() || review.authenticated ? options_.token_ttl : Duration::zero();
  };
  KEELSON_CO_TRY(auto review, co_await reviews_.get(std::move(key), std::move(ask), std::move(keep_for)));
  if (!review.authenticated || review.user.username.empty()) {
    co_return fail(Kind::permission, "the API server knows no such token");
  }
  co_return with_group(std::move(review.user));
}

Task<kube::UserInfo> Authenticator::user_of(http::Request request) {
  std::optional<Error> refusal;
  if (authority_ && request.certificates) {
    auto proved = authority_->user_of(*request.certificates);
    if (proved) {
      co_return with_group(*std::move(proved));
    }
    refusal = std::move(proved).error();
  }
  if (auto token = bearer_token(request); !token.empty() && options_.token_webhook && reviewer_ != nullptr) {
    co_return co_await user_of_token(std::move(token));
  }
  if (refusal) {
    co_return std::unexpected(*std::move(refusal));
  }
  if (options_.anonymous) {
    co_return kube::UserInfo{.username = "system:anonymous", .groups = {"system:unauthenticated"}};
  }
  co_return fail(Kind::permission, "no credential that this node knows");
}

}  // namespace keelson::agent
