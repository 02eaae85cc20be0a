// SPDX-License-Identifier: Apache-2.0
// Requests and answers (credentialprovider.kubelet.k8s.io), and how long answers are kept.
#include "agent/config/credential_plugins.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "agent/config/image_auth.h"
#include "common/duration.h"
#include "common/log.h"

namespace keelson::agent {

namespace json = boost::json;

namespace {

constexpr std::chrono::milliseconds kPluginLimit{60'000};
constexpr const char* kGlobal = "<global>";
constexpr size_t kMostComplaint = 512;

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

Command command_of(const CredentialProvider& provider, const std::string& folder, const std::string& image) {
  Command command{.args = {folder + "/" + provider.name}, .env = environment_of(provider), .deadline = kPluginLimit};
  command.args.insert(command.args.end(), provider.args.begin(), provider.args.end());
  command.input = json::serialize(
      json::object{{"kind", "CredentialProviderRequest"}, {"apiVersion", provider.api_version}, {"image", image}});
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
  std::map<std::string, Kept> kept;  // by cache key
  bool busy = false;
  asio::steady_timer freed;  // cancelled when busy ends

  const std::string* find(const std::string& image, SteadyTime now) {
    std::erase_if(kept, [now](const auto& entry) { return entry.second.until <= now; });
    for (const auto& key : {image, registry_of(image), std::string(kGlobal)}) {
      if (auto found = kept.find(key); found != kept.end()) {
        return &found->second.logins;
      }
    }
    return nullptr;
  }
};

namespace {

/// Frees a plugin for the next pull, however the one before ends.
template <class Plugin>
class Turn {
 public:
  explicit Turn(std::shared_ptr<Plugin> plugin) : plugin_(std::move(plugin)) { plugin_->busy = true; }
  ~Turn() {
    plugin_->busy = false;
    plugin_->freed.cancel();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::shared_ptr<Plugin> plugin_;
};

}  // namespace

CredentialPlugins::CredentialPlugins(Loop& loop, std::vector<CredentialProvider> providers, std::string folder, Run run)
    : loop_(loop), folder_(std::move(folder)), run_(std::move(run)) {
  for (auto& provider : providers) {
    plugins_.push_back(std::make_shared<Plugin>(loop, std::move(provider)));
  }
}

CredentialPlugins::~CredentialPlugins() = default;

Task<std::string> CredentialPlugins::ask(std::shared_ptr<Plugin> plugin, std::string image) {
  while (plugin->busy) {
    co_await plugin->freed.async_wait(use_result);
  }
  if (const std::string* kept = plugin->find(image, loop_.clock().steady())) {
    co_return *kept;
  }
  const Turn turn(plugin);
  const CredentialProvider& provider = plugin->provider;
  KEELSON_CO_TRY(auto output, co_await run_(command_of(provider, folder_, image)));
  if (output.exit_code != 0) {
    output.error.resize(std::min(output.error.size(), kMostComplaint));
    co_return fail(Kind::internal, "it exited with {}: {}", output.exit_code, output.error);
  }
  KEELSON_CO_TRY(auto answer, read_answer(output.out, provider.api_version, image));
  const Duration keep = answer.cache_duration.value_or(provider.default_cache_duration);
  if (keep > Duration(0)) {
    plugin->kept[answer.cache_key] = {answer.logins, loop_.clock().steady() + keep};
  }
  co_return std::move(answer.logins);
}

Task<std::vector<std::string>> CredentialPlugins::logins(std::string image) {
  std::vector<std::string> found;
  for (const auto& plugin : std::vector(plugins_)) {
    const auto fits = [&](const auto& glob) { return image_matches(glob, image); };
    if (std::ranges::none_of(plugin->provider.match_images, fits)) {
      continue;
    }
    auto answer = co_await ask(plugin, image);
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

}  // namespace keelson::agent
