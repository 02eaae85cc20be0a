// SPDX-License-Identifier: Apache-2.0
// Requests and answers (credentialprovider.kubelet.k8s.io), for whom these are, and how long they are kept.
#include "agent/config/credential_plugins.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/config/image_auth.h"
#include "common/duration.h"
#include "common/log.h"
#include "common/sha256.h"

namespace keelson::agent {

namespace json = boost::json;

namespace {

constexpr std::chrono::milliseconds kPluginLimit{60'000};
constexpr const char* kGlobal = "<global>";
constexpr size_t kMostComplaint = 512;

/// For whom a program answers: a service account, as far as the program is told of it, and one token of it if answers
/// are good for no other; nobody, if all is empty.
struct Asker {
  std::string ns;
  std::string name;
  std::string uid;
  kube::StringMap annotations;
  std::string token_hash;
  auto operator<=>(const Asker&) const = default;
};

/// What a program answered.
struct Answer {
  std::string cache_key;
  std::optional<Duration> cache_duration;
  std::string logins;
};

std::string registry_of(const std::string& image) {
  return image.substr(0, image.find('/'));
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

/// Errors name the field alone: what is in an answer is nobody's to read.
Result<Answer> read_answer(const std::string& text, const std::string& api_version, const std::string& image) {
  boost::system::error_code broken;
  const auto value = json::parse(text, broken);
  const auto* object = broken ? nullptr : value.if_object();
  if (object == nullptr) {
    return fail(Kind::invalid, "its answer is no JSON object");
  }
  if (text_of(*object, "kind") != "CredentialProviderResponse" || text_of(*object, "apiVersion") != api_version) {
    return fail(Kind::invalid, "its answer is no CredentialProviderResponse of {}", api_version);
  }
  Answer answer;
  const auto type = text_of(*object, "cacheKeyType");
  if (type != "Image" && type != "Registry" && type != "Global") {
    return fail(Kind::invalid, "cacheKeyType of its answer is not one of Image, Registry, Global");
  }
  answer.cache_key = type == "Image" ? image : type == "Registry" ? registry_of(image) : kGlobal;
  if (const auto* kept = object->if_contains("cacheDuration"); kept != nullptr && !kept->is_null()) {
    KEELSON_TRY(answer.cache_duration, parse_duration(text_of(*object, "cacheDuration")).context("cacheDuration"));
  }
  const auto* auth = object->if_contains("auth");
  if (auth != nullptr && !auth->is_null() && !auth->is_object()) {
    return fail(Kind::invalid, "auth of its answer is no object");
  }
  answer.logins = auth != nullptr && auth->is_object() ? json::serialize(*auth) : "{}";
  return answer;
}

/// Whether one of the logins has this password.
bool has_password(const std::string& logins, const std::string& password) {
  const auto value = json::parse(logins);
  return std::ranges::any_of(value.get_object(), [&](const auto& entry) {
    const auto* login = entry.value().if_object();
    return login != nullptr && text_of(*login, "password") == password;
  });
}

/// The daemon's environment with the provider's own in it.
std::vector<std::string> environment_of(const CredentialProvider& provider) {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    all[text.substr(0, text.find('='))] = text.find('=') == text.npos ? "" : text.substr(text.find('=') + 1);
  }
  for (const auto& [name, value] : provider.env) {
    all[name] = value;
  }
  std::vector<std::string> list;
  for (const auto& [name, value] : all) {
    list.push_back(name + "=" + value);
  }
  return list;
}

/// A request for the image; `token` empty: without one.
json::object request_of(const CredentialProvider& provider, const std::string& image, const std::string& token,
                        const kube::StringMap& annotations) {
  json::object request{{"kind", "CredentialProviderRequest"}, {"apiVersion", provider.api_version}, {"image", image}};
  if (!token.empty()) {
    request["serviceAccountToken"] = token;
  }
  if (!annotations.empty()) {
    json::object& told = request["serviceAccountAnnotations"].emplace_object();
    for (const auto& [key, value] : annotations) {
      told[key] = value;
    }
  }
  return request;
}

Command command_of(const CredentialProvider& provider, const std::string& folder, const json::object& request) {
  Command command{.args = {folder + "/" + provider.name}, .env = environment_of(provider), .deadline = kPluginLimit};
  command.args.insert(command.args.end(), provider.args.begin(), provider.args.end());
  command.input = json::serialize(request);
  return command;
}

}  // namespace

struct CredentialPlugins::Plugin {
  Plugin(Loop& loop, CredentialProvider p) : provider(std::move(p)), freed(loop.io()) {
    freed.expires_at(asio::steady_timer::time_point::max());
  }
  struct Kept {
    std::string logins;
    SteadyTime until;
  };
  CredentialProvider provider;
  std::map<std::pair<std::string, Asker>, Kept> kept;  // by cache key, and for whom
  std::set<Asker> busy;                                // for whom it is being asked
  asio::steady_timer freed;                            // cancelled whenever somebody leaves `busy`

  const std::string* find(const std::string& image, const Asker& asker, SteadyTime now) {
    std::erase_if(kept, [now](const auto& entry) { return entry.second.until <= now; });
    for (const auto& key : {image, registry_of(image), std::string(kGlobal)}) {
      if (auto found = kept.find({key, asker}); found != kept.end()) {
        return &found->second.logins;
      }
    }
    return nullptr;
  }
};

/// A service account, with a token of it; nobody's, if all is empty.
struct CredentialPlugins::Account {
  Asker asker;
  std::string token;
};

namespace {

/// Frees a plugin for the next pull of the same asker, however the one before ends.
template <class Plugin>
class Turn {
 public:
  Turn(std::shared_ptr<Plugin> plugin, Asker asker) : plugin_(std::move(plugin)), asker_(std::move(asker)) {
    plugin_->busy.insert(asker_);
  }
  ~Turn() {
    plugin_->busy.erase(asker_);
    plugin_->freed.cancel();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::shared_ptr<Plugin> plugin_;
  Asker asker_;
};

/// What a program is told of an account; none if that lacks an annotation that is required.
std::optional<kube::StringMap> annotations_for(const TokenAttributes& wanted, const kube::StringMap& all) {
  kube::StringMap told;
  for (const auto& key : wanted.required_annotations) {
    const auto found = all.find(key);
    if (found == all.end()) {
      return std::nullopt;
    }
    told.insert(*found);
  }
  for (const auto& key : wanted.optional_annotations) {
    if (const auto found = all.find(key); found != all.end()) {
      told.insert(*found);
    }
  }
  return told;
}

}  // namespace

CredentialPlugins::CredentialPlugins(Loop& loop, CredentialProviders providers, std::string folder, Run run,
                                     PodInputs* accounts)
    : loop_(loop),
      folder_(std::move(folder)),
      hash_(std::move(providers.hash)),
      run_(std::move(run)),
      accounts_(accounts) {
  for (auto& provider : providers.list) {
    plugins_.push_back(std::make_shared<Plugin>(loop, std::move(provider)));
  }
}

CredentialPlugins::~CredentialPlugins() = default;

/// None: the program is not to be asked for this pod.
Task<std::optional<CredentialPlugins::Account>> CredentialPlugins::account_of(std::shared_ptr<Plugin> plugin,
                                                                              kube::Pod pod) {
  const auto& wanted = plugin->provider.token;
  const auto& name = pod.spec.service_account_name;
  if (!wanted) {
    co_return Account();
  }
  if (name.empty()) {  // of a static pod
    co_return wanted->require_service_account ? std::nullopt : std::optional(Account());
  }
  if (accounts_ == nullptr) {
    co_return fail(Kind::unavailable, "there is no API server to ask for service account {}/{}", pod.metadata.ns, name);
  }
  auto account = co_await accounts_->service_account(pod);
  if (!account) {
    co_return std::unexpected(
        std::move(account).error().with_context(fmt::format("service account {}/{}", pod.metadata.ns, name)));
  }
  auto annotations = annotations_for(*wanted, account->annotations);
  if (!annotations) {
    co_return std::nullopt;  // workloads may opt in by such an annotation
  }
  auto token = co_await accounts_->service_account_token(pod, wanted->audience, account->uid);
  if (!token) {
    co_return std::unexpected(
        std::move(token).error().with_context(fmt::format("service account {}/{}", pod.metadata.ns, name)));
  }
  const bool each_token = wanted->cache_type == TokenAttributes::CacheType::token;
  Account known{.asker = {.ns = pod.metadata.ns,
                          .name = name,
                          .uid = account->uid,
                          .annotations = *std::move(annotations),
                          .token_hash = each_token ? sha256_hex(*token) : ""},
                .token = *std::move(token)};
  co_return known;
}

/// Counted, and an exit code is an error.
Task<CommandOutput> CredentialPlugins::run(std::shared_ptr<Plugin> plugin, Command command) {
  const StatLabels labels{{"plugin_name", plugin->provider.name}};
  const SteadyTime begin = loop_.clock().steady();
  auto output = co_await run_(std::move(command));
  if (!output && output.error().kind() == Kind::cancelled) {
    co_return output;
  }
  durations_.observe(labels, loop_.clock().steady() - begin);
  if (!output || output->exit_code != 0) {
    errors_.add(labels);
  }
  if (output && output->exit_code != 0) {
    output->error.resize(std::min(output->error.size(), kMostComplaint));
    co_return fail(Kind::internal, "it exited with {}: {}", output->exit_code, output->error);
  }
  co_return output;
}

Task<std::string> CredentialPlugins::ask(std::shared_ptr<Plugin> plugin, Account account, std::string image) {
  const Asker& asker = account.asker;
  while (plugin->busy.contains(asker)) {
    co_await plugin->freed.async_wait(use_result);
  }
  if (const std::string* kept = plugin->find(image, asker, loop_.clock().steady())) {
    co_return *kept;
  }
  const Turn turn(plugin, asker);
  const CredentialProvider& provider = plugin->provider;
  const auto request = request_of(provider, image, account.token, asker.annotations);
  KEELSON_CO_TRY(const auto output, co_await run(plugin, command_of(provider, folder_, request)));
  KEELSON_CO_TRY(auto answer, read_answer(output.out, provider.api_version, image));
  if (!account.token.empty() && asker.token_hash.empty() && has_password(answer.logins, account.token)) {
    co_return fail(Kind::invalid, "its answer has the token as a password, which needs cacheType: Token");
  }
  const Duration keep = answer.cache_duration.value_or(provider.default_cache_duration);
  if (keep > Duration(0)) {
    plugin->kept[{answer.cache_key, asker}] = {answer.logins, loop_.clock().steady() + keep};
  }
  co_return std::move(answer.logins);
}

Task<std::vector<std::string>> CredentialPlugins::logins(kube::Pod pod, std::string image) {
  std::vector<std::string> found;
  for (const auto& plugin : std::vector(plugins_)) {
    const auto fits = [&](const auto& glob) { return image_matches(glob, image); };
    if (std::ranges::none_of(plugin->provider.match_images, fits)) {
      continue;
    }
    Result<std::string> answer;
    if (auto account = co_await account_of(plugin, pod); !account) {
      answer = std::unexpected(std::move(account).error());
    } else if (!*account) {
      continue;
    } else {
      answer = co_await ask(plugin, **std::move(account), image);
    }
    if (answer) {
      found.push_back(*std::move(answer));
    } else if (answer.error().kind() == Kind::cancelled) {
      co_return std::unexpected(std::move(answer).error());
    } else {
      log::warning("credential provider {} for image {}: {}", plugin->provider.name, image, answer.error().message());
    }
  }
  co_return found;
}

void CredentialPlugins::collect(Stats& stats) const {
  errors_.collect(stats, "kubelet_credential_provider_plugin_errors_total",
                  "[ALPHA] Number of errors from credential provider plugin");
  durations_.collect(stats, "kubelet_credential_provider_plugin_duration",
                     "[ALPHA] Duration of execution in seconds for credential provider plugin");
  stats.gauge("kubelet_credential_provider_config_info",
              "[ALPHA] Information about the last applied credential provider configuration with hash as label", 1,
              {{"hash", hash_}});
}

}  // namespace keelson::agent
