// SPDX-License-Identifier: Apache-2.0
// handlers.h.
#include "cri/runtime/handlers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include <boost/json.hpp>

#include "common/fd.h"
#include "common/log.h"
#include "common/process.h"
#include "cri/runtime/seccomp.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;
namespace json = boost::json;

namespace {

constexpr std::chrono::seconds kFeaturesTime{5};
constexpr std::chrono::seconds kCommandTime{10};
constexpr std::chrono::seconds kSlack{2};  // for the shim's answer, when a command has run out of time

bool is_ours(const std::string& name) {
  return name.empty() || name == "keelson";
}

bool is_label(const std::string& name) {
  return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
         std::ranges::all_of(name, [](char letter) {
           return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '-';
         });
}

json::array device_documents(const std::vector<std::string>& rules) {
  json::array out;
  if (rules == std::vector<std::string>{"a"}) {
    out.push_back(json::object{{"allow", true}, {"access", "rwm"}});
    return out;
  }
  out.push_back(json::object{{"allow", false}, {"access", "rwm"}});
  for (const auto& rule : rules) {
    std::istringstream words(rule);  // "c 10:200 rw"
    std::string type;
    std::string access;
    int64_t major = 0;
    int64_t minor = 0;
    char colon = 0;
    words >> type >> major >> colon >> minor >> access;
    out.push_back(
        json::object{{"allow", true}, {"type", type}, {"major", major}, {"minor", minor}, {"access", access}});
  }
  return out;
}

json::object limits_document(const v1::LinuxContainerResources& limits) {
  json::object cpu;
  const auto put = [](json::object& into, const char* name, int64_t value) {
    if (value != 0) {
      into[name] = value;
    }
  };
  put(cpu, "shares", limits.cpu_shares());
  put(cpu, "quota", limits.cpu_quota());
  put(cpu, "period", limits.cpu_period());
  if (!limits.cpuset_cpus().empty()) {
    cpu["cpus"] = limits.cpuset_cpus();
  }
  if (!limits.cpuset_mems().empty()) {
    cpu["mems"] = limits.cpuset_mems();
  }
  json::object memory;
  put(memory, "limit", limits.memory_limit_in_bytes());
  json::object out;
  if (!cpu.empty()) {
    out["cpu"] = std::move(cpu);
  }
  if (!memory.empty()) {
    out["memory"] = std::move(memory);
  }
  return out;
}

std::string resources_document(const v1::LinuxContainerResources& limits, const std::vector<std::string>& devices) {
  auto out = limits_document(limits);
  out["devices"] = device_documents(devices);
  return json::serialize(out);
}

// As containerd names them. None says that a container belongs to a sandbox of the runtime's, for there is none.
std::string annotations_document(const SpecInput& input) {
  const auto& pod = input.sandbox.metadata();
  return json::serialize(json::object{{"io.kubernetes.cri.sandbox-name", pod.name()},
                                      {"io.kubernetes.cri.sandbox-namespace", pod.namespace_()},
                                      {"io.kubernetes.cri.sandbox-uid", pod.uid()},
                                      {"io.kubernetes.cri.container-name", input.config.metadata().name()},
                                      {"io.kubernetes.cri.image-name", input.config.image().image()}});
}

json::array strings(const std::vector<std::string>& list) {
  json::array out;
  for (const auto& item : list) {
    out.emplace_back(item);
  }
  return out;
}

/// As OCI's runtime-spec has them: lists by name.
std::string hooks_document(const std::vector<cdi::Hook>& hooks) {
  json::object out;
  for (const auto& hook : hooks) {
    json::object one{{"path", hook.path}};
    if (!hook.args.empty()) {
      one["args"] = strings(hook.args);
    }
    if (!hook.env.empty()) {
      one["env"] = strings(hook.env);
    }
    if (hook.timeout) {
      one["timeout"] = *hook.timeout;
    }
    auto& list = out[hook.name];
    if (!list.is_array()) {
      list.emplace_array();
    }
    list.get_array().push_back(std::move(one));
  }
  return out.empty() ? "" : json::serialize(out);
}

Result<std::string> seccomp_document(const SpecInput& input, const shim::ProcessSpec& process) {
  if (process.seccomp.empty()) {
    return std::string();
  }
  const auto& profile = input.config.linux().security_context().seccomp();
  return profile.profile_type() == v1::SecurityProfile::Localhost
             ? localhost_seccomp(profile, input.seccomp_dir)
             : Result<std::string>(default_seccomp_document(process.capabilities.bounding));
}

Result<> run_handler(const Parts& parts, const RuntimeHandler& handler, const std::vector<std::string>& args,
                     std::string input) {
  Command command{.args = handler.command, .env = {}, .input = std::move(input), .deadline = kCommandTime};
  command.args.emplace_back("--root");
  command.args.push_back(parts.handler_dir(handler.name));
  command.args.insert(command.args.end(), args.begin(), args.end());
  KEELSON_TRY(const auto answer, run_command(command).context("runtime handler {}", handler.name));
  if (answer.exit_code != 0) {
    return fail(Kind::internal, "runtime handler {}: {} ended with {}: {}", handler.name, args.front(),
                answer.exit_code, answer.error);
  }
  return {};
}

}  // namespace

Result<RuntimeHandler> parse_runtime_handler(const std::string& text) {
  RuntimeHandler handler;
  const auto equals = text.find('=');
  handler.name = text.substr(0, equals);
  if (equals == std::string::npos || !is_label(handler.name)) {
    return fail(Kind::invalid, "\"{}\": expected NAME=PROGRAM, NAME of small letters, digits and dashes", text);
  }
  if (is_ours(handler.name)) {
    return fail(Kind::invalid, "\"{}\": the handler keelson is built in", text);
  }
  std::istringstream words(text.substr(equals + 1));
  for (std::string word; words >> word;) {
    handler.command.push_back(std::move(word));
  }
  if (handler.command.empty() || !handler.command.front().starts_with('/')) {
    return fail(Kind::invalid, "\"{}\": the program must be named by an absolute path", text);
  }
  return handler;
}

Result<const RuntimeHandler*> find_handler(const RuntimeOptions& options, const std::string& name) {
  if (is_ours(name)) {
    return nullptr;
  }
  const auto found = std::ranges::find(options.handlers, name, &RuntimeHandler::name);
  if (found == options.handlers.end()) {
    return fail(Kind::invalid, "no runtime for \"{}\" is configured", name);
  }
  return &*found;
}

Result<> check_runnable(const RuntimeHandler& handler) {
  if (::access(handler.command.front().c_str(), X_OK) != 0) {
    return fail_errno(errno, "runtime handler {}: {}", handler.name, handler.command.front());
  }
  return {};
}

HandlerFeatures features_of(const std::string& text) {
  HandlerFeatures features;
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* options = object ? object->if_contains("mountOptions") : nullptr;
  if (const auto* list = options ? options->if_array() : nullptr) {
    features.recursive_read_only_mounts = std::ranges::find(*list, json::value("rro")) != list->end();
  }
  return features;
}

HandlerFeatures ask_features(const RuntimeHandler& handler) {
  Command command{.args = handler.command, .env = {}, .input = {}, .deadline = kFeaturesTime};
  command.args.emplace_back("features");
  const auto answer = run_command(command);
  return answer && answer->exit_code == 0 ? features_of(answer->out) : HandlerFeatures{};
}

Result<> give_to_handler(const Parts& parts, const RuntimeHandler& handler, const ContainerRecord& record,
                         const SpecInput& input, shim::ContainerSpec& spec) {
  auto& oci = spec.oci;
  oci.command = handler.command;
  oci.state_dir = parts.handler_dir(handler.name);
  oci.bundle_dir = input.container_dir + "/bundle";
  spec.rootfs_dir = oci.bundle_dir + "/rootfs";
  KEELSON_DO(make_directories(parts.options.run_dir + "/oci", 0711));
  KEELSON_DO(make_directories(oci.state_dir, 0700));
  KEELSON_DO(make_directories(spec.rootfs_dir, 0711));
  const auto time = std::max(parts.options.shim_timeout - kSlack, kSlack);
  oci.deadline_ms = static_cast<uint32_t>(std::chrono::milliseconds(time).count());
  oci.cgroups_path = record.cgroup();
  oci.resources = resources_document(record.resources(), device_rules(input, spec));
  oci.annotations = annotations_document(input);
  oci.hooks = hooks_document(input.cdi_edits.hooks);
  KEELSON_TRY(oci.seccomp, seccomp_document(input, spec.process));
  spec.process.seccomp.clear();
  return {};
}

Result<> update_by_handler(const Parts& parts, const Sandbox& sandbox, const std::string& container_id,
                           const v1::LinuxContainerResources& limits) {
  const auto name = sandbox.read([](const auto& record) { return record.runtime_handler(); });
  const auto document = limits_document(limits);
  if (is_ours(name) || document.empty()) {
    return {};
  }
  KEELSON_TRY(const auto* handler, find_handler(parts.options, name));
  return run_handler(parts, *handler, {"update", "--resources", "-", container_id}, json::serialize(document));
}

Result<> forget_by_handler(const Parts& parts, const Sandbox& sandbox, const std::string& container_id) {
  const auto name = sandbox.read([](const auto& record) { return record.runtime_handler(); });
  const auto state = parts.handler_dir(name) + "/" + container_id;
  if (is_ours(name) || ::access(state.c_str(), F_OK) != 0) {
    return {};
  }
  const auto handler = find_handler(parts.options, name);
  if (handler) {
    KEELSON_DO(run_handler(parts, **handler, {"delete", "--force", container_id}, ""));
  } else {
    log::warning("container {}: {}; its processes are dead, its state is removed", container_id,
                 handler.error().message());
  }
  return remove_tree(state);
}

}  // namespace keelson::cri
