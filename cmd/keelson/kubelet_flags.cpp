// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/kubelet_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <sstream>
#include <string_view>

#include <yaml-cpp/yaml.h>

namespace keelson::cli {

namespace {

struct Name {
  const char* flag;
  std::string NodeConfig::* field;
  const char* help;
};
constexpr Name kNames[] = {
    {"--hostname-override", &NodeConfig::node_name, "The kubelet's name of --node-name"},
    {"--root-dir", &NodeConfig::root, "The kubelet's name of --root"},
    {"--pod-manifest-path", &NodeConfig::manifest_dir, "The kubelet's name of --manifests"},
};

struct FieldFlag {
  const char* flag;
  const char* field;
};
constexpr FieldFlag kFields[] = {
    {"--container-runtime-endpoint", "containerRuntimeEndpoint"},
    {"--image-service-endpoint", "imageServiceEndpoint"},
    {"-v,--v", "logging.verbosity"},
    {"--logging-format", "logging.format"},
    {"--read-only-port", "readOnlyPort"},
    {"--kube-api-content-type", "contentType"},
    {"--sync-frequency", "syncFrequency"},
    {"--file-check-frequency", "fileCheckFrequency"},
    {"--manifest-url-header", "staticPodURLHeader"},
    {"--volume-stats-agg-period", "volumeStatsAggPeriod"},
    {"--cgroups-per-qos", "cgroupsPerQOS"},
    {"--kubelet-cgroups", "kubeletCgroups"},
    {"--system-cgroups", "systemCgroups"},
    {"--memory-manager-policy", "memoryManagerPolicy"},
    {"--topology-manager-policy", "topologyManagerPolicy"},
    {"--topology-manager-scope", "topologyManagerScope"},
    {"--hairpin-mode", "hairpinMode"},
    {"--pod-cidr", "podCIDR"},
    {"--make-iptables-util-chains", "makeIPTablesUtilChains"},
    {"--oom-score-adj", "oomScoreAdj"},
    {"--max-open-files", "maxOpenFiles"},
    {"--enable-controller-attach-detach", "enableControllerAttachDetach"},
    {"--volume-plugin-dir", "volumePluginDir"},
    {"--local-storage-capacity-isolation", "localStorageCapacityIsolation"},
    {"--contention-profiling", "enableContentionProfiling"},
    {"--fail-cgroupv1", "failCgroupV1"},
};

struct Passed {
  const char* flag;
  const char* why;
};
constexpr Passed kPassed[] = {
    {"--pod-infra-container-image", "it tells the kubelet which image not to collect; the runtime has its own way"},
    {"--runtime-cgroups", "the runtime stays where its service manager has put it"},
    {"--vmodule", "use --log-level"},
};

/// As the kubelet: in lower case, without white space around.
std::string host_name(std::string name) {
  name.erase(0, name.find_first_not_of(" \t"));
  name.erase(name.find_last_not_of(" \t") + 1);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

/// "Accept:text/yaml,Accept:text/plain" as {Accept: [text/yaml, text/plain]}.
YAML::Node headers_of(const std::string& text) {
  YAML::Node headers(YAML::NodeType::Map);
  std::istringstream given(text);
  for (std::string header; std::getline(given, header, ',');) {
    const size_t colon = std::min(header.find(':'), header.size());
    headers[header.substr(0, colon)].push_back(header.substr(std::min(colon + 1, header.size())));
  }
  return headers;
}

/// "logging.format" is `format` of `logging`.
std::string field_text(std::string_view field, const std::string& value) {
  YAML::Node root;
  root["apiVersion"] = "kubelet.config.k8s.io/v1beta1";
  root["kind"] = "KubeletConfiguration";
  const size_t dot = field.find('.');
  if (field == "staticPodURLHeader") {
    root[std::string(field)] = headers_of(value);
  } else if (dot == std::string_view::npos) {
    root[std::string(field)] = value;
  } else {
    root[std::string(field.substr(0, dot))][std::string(field.substr(dot + 1))] = value;
  }
  return YAML::Dump(root);
}

}  // namespace

void KubeletFlags::add(CLI::App& verb) {
  const auto add_to = [&verb](std::deque<Given>& list, const char* flag, const std::string& help) {
    Given& given = list.emplace_back();
    given.option = verb.add_option(flag, given.value, help);
  };
  for (const auto& name : kNames) {
    add_to(names_, name.flag, std::string("Role agent: ") + name.help);
  }
  for (const auto& field : kFields) {
    add_to(fields_, field.flag, fmt::format("Role agent: {} of a KubeletConfiguration", field.field));
  }
  for (const auto& passed : kPassed) {
    add_to(passed_, passed.flag, fmt::format("Role agent: a kubelet's, passed over: {}", passed.why));
  }
}

std::vector<ConfigText> KubeletFlags::fields() const {
  std::vector<ConfigText> texts;
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].option->count() > 0) {
      texts.push_back({.name = "--" + fields_[i].option->get_single_name(),
                       .text = field_text(kFields[i].field, fields_[i].value)});
    }
  }
  return texts;
}

void KubeletFlags::apply(NodeConfig& config) const {
  for (size_t i = 0; i < names_.size(); ++i) {
    if (names_[i].option->count() > 0) {
      const bool is_name = kNames[i].field == &NodeConfig::node_name;
      config.*kNames[i].field = is_name ? host_name(names_[i].value) : names_[i].value;
    }
  }
  for (size_t i = 0; i < passed_.size(); ++i) {
    if (passed_[i].option->count() > 0) {
      config.notes.push_back(
          fmt::format("{}={} is not applied: {}", kPassed[i].flag, passed_[i].value, kPassed[i].why));
    }
  }
}

}  // namespace keelson::cli
