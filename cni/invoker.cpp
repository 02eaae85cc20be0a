// SPDX-License-Identifier: Apache-2.0
// Chains, requests to plugins, and the cache of results (the format is libcni's "cniCacheV1").
#include "cni/invoker.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/netlink.h"
#include "common/netns.h"
#include "common/process.h"

namespace keelson::cni {

namespace json = boost::json;
namespace fs = std::filesystem;

/// What ADD left behind.
struct Invoker::Cached {
  std::string path;
  NetworkList list;
  Attachment attachment;
  json::value result;
};

namespace {

/// `netns` may be a pinned path or /proc/<pid>/ns/net.
Result<> raise_loopback(const std::string& netns) {
  KEELSON_TRY(auto inside, NetnsGuard::enter(netns));
  KEELSON_TRY(auto netlink, Netlink::open());
  KEELSON_TRY(auto loopback, netlink.find_link("lo"));
  return loopback.up ? Result<>() : netlink.set_up(loopback.index);
}

std::string joined_args(const Attachment& attachment) {
  std::string text;
  for (const auto& [key, value] : attachment.args) {
    text += (text.empty() ? "" : ";") + key + "=" + value;
  }
  return text;
}

/// A plugin's error object as our Error.
std::unexpected<Error> plugin_failed(const PluginEntry& plugin, const std::string& verb, const CommandOutput& output) {
  boost::system::error_code bad;
  auto value = json::parse(output.out, bad);
  const auto* object = bad ? nullptr : value.if_object();
  const auto* code = object != nullptr ? object->if_contains("code") : nullptr;
  const auto* message = object != nullptr ? object->if_contains("msg") : nullptr;
  const auto* details = object != nullptr ? object->if_contains("details") : nullptr;
  if (code == nullptr || !code->is_int64() || message == nullptr || !message->is_string()) {
    return fail(Kind::internal, "plugin {} {}: exit code {}: {}", plugin.type, verb, output.exit_code,
                output.error.empty() ? output.out : output.error);
  }
  auto number = static_cast<int>(code->get_int64());
  Kind kind = number == kTryLater || number == kNotAvailable     ? Kind::unavailable
              : number == kBadConfig || number == kDecodeFailure ? Kind::invalid
                                                                 : Kind::internal;
  std::string text = fmt::format("plugin {} {}: {}", plugin.type, verb, std::string_view(message->get_string()));
  if (details != nullptr && details->is_string() && !details->get_string().empty()) {
    text += fmt::format("; {}", std::string_view(details->get_string()));
  }
  return std::unexpected(Error(kind, fmt::format("{} (CNI code {})", text, number), number));
}

bool has_entries(const json::object& config, std::string_view key) {
  const auto* value = config.if_contains(key);
  return value != nullptr && value->is_array() && !value->get_array().empty();
}

/// In the form of our plugin, or of host-local.
bool has_own_ranges(const json::object& config) {
  const auto* ipam = config.if_contains("ipam");
  const auto* own = ipam != nullptr ? ipam->if_object() : nullptr;
  return has_entries(config, "ranges") || (own != nullptr && (has_entries(*own, "ranges") || own->contains("subnet")));
}

Result<> check_ranges(const NetworkList& list, const json::object& capability_args) {
  for (const auto& plugin : list.plugins) {
    const bool takes = std::ranges::find(plugin.capabilities, "ipRanges") != plugin.capabilities.end();
    if (takes && !capability_args.contains("ipRanges") && !has_own_ranges(plugin.config)) {
      return fail(Kind::unavailable,
                  "network {}: plugin {} waits for the range of pods' addresses, which the node has not got yet "
                  "(spec.podCIDR)",
                  list.name, plugin.type);
    }
  }
  return {};
}

bool at_least(const std::string& version, const std::string& wanted) {
  auto place = [](const std::string& v) { return std::find(std::begin(kVersions), std::end(kVersions), v); };
  return place(version) >= place(wanted);
}

json::value list_as_json(const NetworkList& list) {
  json::array plugins;
  for (const auto& plugin : list.plugins) {
    plugins.emplace_back(plugin.config);
  }
  return json::object{
      {"cniVersion", list.version}, {"name", list.name}, {"disableCheck", list.disable_check}, {"plugins", plugins}};
}

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

}  // namespace

Invoker::Invoker(Options options) : options_(std::move(options)) {
  remove_unfinished(options_.cache_dir + "/results");
}

Result<NetworkList> Invoker::load() const {
  auto list = load_network_list(options_.conf_dir);
  if (!list) {
    return fail(Kind::unavailable, "cni plugin not initialized: {}", list.error().message());
  }
  return list;
}

std::string Invoker::cache_path(const std::string& network, const Attachment& attachment) const {
  return fmt::format("{}/results/{}-{}-{}", options_.cache_dir, network, attachment.container_id, attachment.interface);
}

std::shared_ptr<std::mutex> Invoker::container_lock(const std::string& id) {
  std::lock_guard lock(locks_mutex_);
  std::erase_if(locks_, [](const auto& entry) { return entry.second.expired(); });
  auto held = locks_[id].lock();
  if (!held) {
    held = std::make_shared<std::mutex>();
    locks_[id] = held;
  }
  return held;
}

Result<json::value> Invoker::run_plugin(const std::string& verb, const NetworkList& list, const PluginEntry& plugin,
                                        const Attachment& attachment, const json::value& previous,
                                        const json::value* valid_attachments) const {
  std::string path;
  std::string search;
  for (const auto& folder : options_.bin_dirs) {
    search += (search.empty() ? "" : ":") + folder;
    auto candidate = folder + "/" + plugin.type;
    if (path.empty() && ::access(candidate.c_str(), X_OK) == 0) {
      path = candidate;
    }
  }
  if (path.empty()) {
    return fail(Kind::not_found, "plugin {} is in none of {}", plugin.type, search);
  }
  json::object config = plugin.config;
  config["cniVersion"] = list.version;
  config["name"] = list.name;
  config.erase("capabilities");
  json::object runtime_config;
  for (const auto& capability : plugin.capabilities) {
    if (const auto* value = attachment.capability_args.if_contains(capability)) {
      runtime_config[capability] = *value;
    }
  }
  if (!runtime_config.empty()) {
    config["runtimeConfig"] = std::move(runtime_config);
  }
  if (!previous.is_null()) {
    config["prevResult"] = previous;
  }
  if (valid_attachments != nullptr) {
    config["cni.dev/valid-attachments"] = *valid_attachments;
  }
  Command command{.args = {path},
                  .env = {"CNI_COMMAND=" + verb, "CNI_PATH=" + search,
                          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                  .input = json::serialize(config),
                  .deadline = options_.deadline};
  if (verb == "ADD" || verb == "DEL" || verb == "CHECK") {
    command.env.push_back("CNI_CONTAINERID=" + attachment.container_id);
    command.env.push_back("CNI_NETNS=" + attachment.netns);
    command.env.push_back("CNI_IFNAME=" + attachment.interface);
    command.env.push_back("CNI_ARGS=" + joined_args(attachment));
  }
  KEELSON_TRY(auto output, run_command(command).context("plugin {} {}", plugin.type, verb));
  if (output.exit_code != 0) {
    return plugin_failed(plugin, verb, output);
  }
  if (verb != "ADD") {
    return json::value();
  }
  boost::system::error_code bad;
  auto result = json::parse(output.out, bad);
  if (bad || !result.is_object()) {
    return fail(Kind::internal, "plugin {} ADD: its result is not a JSON object", plugin.type);
  }
  return result;
}

Result<> Invoker::ready(const json::object& capability_args) const {
  KEELSON_TRY(auto list, load());
  KEELSON_DO(check_ranges(list, capability_args));
  if (!at_least(list.version, "1.1.0")) {
    return {};
  }
  for (const auto& plugin : list.plugins) {
    Attachment nobody;
    nobody.capability_args = capability_args;
    auto status = run_plugin("STATUS", list, plugin, nobody, {});
    if (!status) {
      return fail(Kind::unavailable, "network {} is not ready: {}", list.name, status.error().message());
    }
  }
  return {};
}

Result<Outcome> Invoker::add(const Attachment& attachment) {
  std::shared_lock shared(everything_);
  auto mutex = container_lock(attachment.container_id);
  std::lock_guard lock(*mutex);
  // Undoing a second ADD would tear down the first: it is refused before anything runs.
  if (auto cached = find_cached(attachment)) {
    return fail(Kind::exists, "container {} is attached to network {} by {} already", attachment.container_id,
                cached->list.name, attachment.interface);
  }
  KEELSON_TRY(auto list, load());
  KEELSON_DO(check_ranges(list, attachment.capability_args));
  KEELSON_DO(raise_loopback(attachment.netns).context("raise the loopback link"));
  json::value result;
  for (const auto& plugin : list.plugins) {
    auto next = run_plugin("ADD", list, plugin, attachment, result);
    if (!next) {
      auto error = std::move(next).error();
      if (auto undone = del_chain(list, attachment, {}); !undone) {
        return std::unexpected(std::move(error).with_context("undo failed too: " + undone.error().message()));
      }
      return std::unexpected(std::move(error));
    }
    result = std::move(*next);
  }
  auto path = cache_path(list.name, attachment);
  json::object cache{{"kind", "cniCacheV1"},
                     {"containerId", attachment.container_id},
                     {"ifName", attachment.interface},
                     {"networkName", list.name},
                     {"netns", attachment.netns},
                     {"config", list_as_json(list)},
                     {"cniArgs", joined_args(attachment)},
                     {"capabilityArgs", attachment.capability_args},
                     {"result", result}};
  auto finish = [&]() -> Result<Outcome> {
    KEELSON_TRY(auto outcome, parse_outcome(result).context("network {}", list.name));
    KEELSON_DO(make_directories(options_.cache_dir + "/results", 0700));
    KEELSON_DO(write_file_atomic(path, json::serialize(cache), 0600));
    return outcome;
  };
  auto outcome = finish();
  if (!outcome) {
    // Nobody could take it down later without the cache.
    if (auto undone = del_chain(list, attachment, result); !undone) {
      return std::unexpected(std::move(outcome).error().with_context("undo failed too: " + undone.error().message()));
    }
  }
  return outcome;
}

Result<Invoker::Cached> Invoker::read_cache(const std::string& path) const {
  KEELSON_TRY(auto text, read_file(path, 4 << 20));
  boost::system::error_code bad;
  auto value = json::parse(text, bad);
  const auto* object = bad ? nullptr : value.if_object();
  const auto* config = object != nullptr ? object->if_contains("config") : nullptr;
  if (config == nullptr || text_of(*object, "kind") != "cniCacheV1") {
    return fail(Kind::invalid, "{} is not a cached result", path);
  }
  Cached cached{.path = path};
  // libcni writes the configuration as base64 bytes; ours is the object itself.
  KEELSON_TRY(cached.list, parse_network_list(json::serialize(*config), path));
  cached.attachment.container_id = text_of(*object, "containerId");
  cached.attachment.interface = text_of(*object, "ifName");
  cached.attachment.netns = text_of(*object, "netns");
  if (const auto* capabilities = object->if_contains("capabilityArgs");
      capabilities != nullptr && capabilities->is_object()) {
    cached.attachment.capability_args = capabilities->get_object();
  }
  if (const auto* result = object->if_contains("result")) {
    cached.result = *result;
  }
  return cached;
}

Result<Invoker::Cached> Invoker::find_cached(const Attachment& attachment) const {
  // A network's name may hold anything, so the name of the file only says which ones are worth reading.
  std::string suffix = fmt::format("-{}-{}", attachment.container_id, attachment.interface);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(options_.cache_dir + "/results", ignored)) {
    if (!entry.path().filename().string().ends_with(suffix)) {
      continue;
    }
    auto cached = read_cache(entry.path());
    if (cached && cached->attachment.container_id == attachment.container_id &&
        cached->attachment.interface == attachment.interface) {
      return cached;
    }
  }
  return fail(Kind::not_found, "container {} has no cached result", attachment.container_id);
}

Result<> Invoker::del_chain(const NetworkList& list, const Attachment& attachment, const json::value& result) const {
  Result<> first;
  for (auto plugin = list.plugins.rbegin(); plugin != list.plugins.rend(); ++plugin) {
    auto done = run_plugin("DEL", list, *plugin, attachment, result);
    if (!done && first) {
      first = std::unexpected(std::move(done).error());
    }
  }
  return first;
}

Result<> Invoker::del(const Attachment& attachment) {
  std::shared_lock shared(everything_);
  auto mutex = container_lock(attachment.container_id);
  std::lock_guard lock(*mutex);
  auto cached = find_cached(attachment);
  if (cached) {
    auto with_args = attachment;
    with_args.capability_args = cached->attachment.capability_args;
    KEELSON_DO(del_chain(cached->list, with_args, cached->result));
    std::error_code ignored;
    fs::remove(cached->path, ignored);
    return {};
  }
  auto list = load();
  return list ? del_chain(*list, attachment, {}) : Result<>();
}

Result<> Invoker::check(const Attachment& attachment) {
  std::shared_lock shared(everything_);
  auto mutex = container_lock(attachment.container_id);
  std::lock_guard lock(*mutex);
  KEELSON_TRY(auto cached, find_cached(attachment));
  if (cached.list.disable_check || !at_least(cached.list.version, "0.4.0")) {
    return {};
  }
  auto with_args = attachment;
  with_args.capability_args = cached.attachment.capability_args;
  for (const auto& plugin : cached.list.plugins) {
    KEELSON_DO(run_plugin("CHECK", cached.list, plugin, with_args, cached.result));
  }
  return {};
}

Result<> Invoker::collect_garbage(const std::vector<Attachment>& valid) {
  std::unique_lock exclusive(everything_);
  KEELSON_TRY(auto list, load());
  Result<> first;
  auto note = [&](Result<> outcome) {
    if (!outcome && first) {
      first = std::move(outcome);
    }
  };
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(options_.cache_dir + "/results", ignored)) {
    auto cached = read_cache(entry.path());
    if (!cached) {
      continue;
    }
    bool keep = std::any_of(valid.begin(), valid.end(), [&](const Attachment& a) {
      return a.container_id == cached->attachment.container_id && a.interface == cached->attachment.interface;
    });
    if (!keep) {
      auto deleted = del_chain(cached->list, cached->attachment, cached->result);
      if (deleted) {
        fs::remove(cached->path, ignored);
      }
      note(std::move(deleted));
    }
  }
  if (list.disable_gc || !at_least(list.version, "1.1.0")) {
    return first;
  }
  json::array keys;
  for (const auto& attachment : valid) {
    keys.push_back(json::object{{"containerID", attachment.container_id}, {"ifname", attachment.interface}});
  }
  json::value kept = std::move(keys);
  for (const auto& plugin : list.plugins) {
    auto done = run_plugin("GC", list, plugin, {}, {}, &kept);
    if (!done) {
      note(std::unexpected(std::move(done).error()));
    }
  }
  return first;
}

}  // namespace keelson::cni
