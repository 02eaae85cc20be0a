// SPDX-License-Identifier: Apache-2.0
// Credentials from files and from plugins.
#include "kube/client/credentials.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <memory>
#include <string_view>

#include "common/fd.h"
#include "common/process.h"
#include "kube/config.h"

namespace keelson::kube {

namespace {

constexpr size_t kMaxSecretSize = 1 << 20;
/// client-go asks again once a credential has expired; a little earlier spares a refused request.
constexpr std::chrono::seconds kExpiryMargin{10};

std::string trimmed(std::string text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  text.resize(end == std::string::npos ? 0 : end + 1);
  return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

/// The file's content into `last`; an unreadable or empty one leaves what was there, if anything was.
Result<> refresh(const std::string& path, std::string_view field, std::string& last) {
  if (path.empty()) {
    return {};
  }
  auto text = read_file(path, kMaxSecretSize);
  if (text && !trimmed(*text).empty()) {
    last = *std::move(text);
    return {};
  }
  if (!last.empty()) {
    return {};
  }
  if (!text) {
    return Result<>(std::unexpected(std::move(text).error())).context("read {}", field);
  }
  return fail(Kind::invalid, "read {}: {} is empty", field, path);
}

/// The program's path, as execvp(3) finds it; empty: nowhere.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    return name;
  }
  const char* variable = std::getenv("PATH");
  std::string_view path = variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin";
  while (!path.empty()) {
    const size_t colon = std::min(path.find(':'), path.size());
    std::string candidate = fmt::format("{}/{}", path.substr(0, colon), name);
    if (::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
    path.remove_prefix(std::min(colon + 1, path.size()));
  }
  return {};
}

/// Of the first certificate of a text; the beginning of time if there is none.
WallTime end_of_certificate(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&::BIO_free_all)> text(
      ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &::BIO_free_all);
  const std::unique_ptr<X509, decltype(&::X509_free)> certificate(
      ::PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr), &::X509_free);
  std::tm end{};
  if (!certificate || ::ASN1_TIME_to_tm(::X509_get0_notAfter(certificate.get()), &end) != 1) {
    ::ERR_clear_error();
    return WallTime();
  }
  return WallTime(std::chrono::seconds(::timegm(&end)));
}

std::vector<std::string> environment_of(const CredentialPlugin& plugin) {
  std::vector<std::string> env;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    env.emplace_back(*variable);
  }
  env.insert(env.end(), plugin.env.begin(), plugin.env.end());
  env.push_back("KUBERNETES_EXEC_INFO=" + plugin.info);
  return env;
}

}  // namespace

Credentials::Credentials(CredentialSource source, const Clock& clock) : source_(std::move(source)), clock_(clock) {
  const bool of_files = (source_.token.empty() && !source_.token_file.empty()) ||
                        (source_.certificate_pem.empty() && !source_.certificate_file.empty()) ||
                        (source_.key_pem.empty() && !source_.key_file.empty());
  if (!source_.plugin && !of_files) {
    fixed_ = {.token = source_.token, .certificate_pem = source_.certificate_pem, .key_pem = source_.key_pem};
  }
}

void Credentials::prefer_certificate(std::string file) {
  preferred_file_ = std::move(file);
  fixed_.reset();
}

bool Credentials::prefers() {
  if (preferred_file_.empty()) {
    return false;
  }
  if (auto text = read_file(preferred_file_, kMaxSecretSize); text && *text != preferred_) {
    preferred_until_ = end_of_certificate(*text);
    preferred_ = *std::move(text);
  }
  return clock_.wall() < preferred_until_;
}

Result<Credential> Credentials::get() {
  if (prefers()) {
    return Credential{.token = {}, .certificate_pem = preferred_, .key_pem = preferred_};
  }
  if (source_.plugin) {
    const bool expired = printed_until_ && clock_.wall() + kExpiryMargin >= *printed_until_;
    if (!printed_ || expired) {
      KEELSON_TRY(printed_, ask_plugin());
    }
    return *printed_;
  }
  if (source_.token.empty()) {
    KEELSON_DO(refresh(source_.token_file, "tokenFile", last_.token));
  }
  if (source_.certificate_pem.empty()) {
    KEELSON_DO(refresh(source_.certificate_file, "client-certificate", last_.certificate_pem));
  }
  if (source_.key_pem.empty() && source_.key_file == source_.certificate_file && source_.certificate_pem.empty()) {
    last_.key_pem = last_.certificate_pem;  // read once: whoever replaces the file replaces both
  } else if (source_.key_pem.empty()) {
    KEELSON_DO(refresh(source_.key_file, "client-key", last_.key_pem));
  }
  Credential credential{
      .token = source_.token.empty() ? trimmed(last_.token) : source_.token,
      .certificate_pem = source_.certificate_pem.empty() ? last_.certificate_pem : source_.certificate_pem,
      .key_pem = source_.key_pem.empty() ? last_.key_pem : source_.key_pem};
  return credential;
}

void Credentials::refused() {
  printed_.reset();
}

Result<Credential> Credentials::ask_plugin() {
  const CredentialPlugin& plugin = *source_.plugin;
  Command command{.args = plugin.args, .env = environment_of(plugin), .input = {}, .deadline = plugin.deadline};
  command.args[0] = find_program(plugin.args[0]);
  const auto hint = plugin.install_hint.empty() ? std::string() : "; " + plugin.install_hint;
  if (command.args[0].empty() || ::access(command.args[0].c_str(), X_OK) != 0) {
    return fail(Kind::not_found, "exec.command: there is no program {}{}", plugin.args[0], hint);
  }
  auto output = run_command(command).context("exec plugin");
  if (!output) {
    return std::unexpected(std::move(output).error());
  }
  if (output->exit_code != 0) {
    // What it wrote may hold anything: not shown.
    return fail(Kind::unavailable, "exec plugin {} ended with code {}; run it by hand to see why", command.args[0],
                output->exit_code);
  }
  auto decoded = decode_exec_credential(output->out).context("exec plugin {}", command.args[0]);
  if (!decoded) {
    return std::unexpected(std::move(decoded).error());
  }
  if (decoded->kind != "ExecCredential" || decoded->api_version != plugin.api_version) {
    return fail(Kind::invalid, "exec plugin {}: expected kind ExecCredential of {}", command.args[0],
                plugin.api_version);
  }
  if (decoded->token.empty() && decoded->client_certificate.empty()) {
    return fail(Kind::invalid, "exec plugin {}: status has neither token nor clientCertificateData", command.args[0]);
  }
  if (decoded->client_certificate.empty() != decoded->client_key.empty()) {
    return fail(Kind::invalid, "exec plugin {}: status.clientCertificateData and clientKeyData come together or not",
                command.args[0]);
  }
  printed_until_ = decoded->expiration;
  return Credential{.token = std::move(decoded->token),
                    .certificate_pem = std::move(decoded->client_certificate),
                    .key_pem = std::move(decoded->client_key)};
}

}  // namespace keelson::kube
