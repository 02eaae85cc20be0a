// SPDX-License-Identifier: Apache-2.0
// network.h over cni/invoker.h.
#include "cri/runtime/network.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <boost/json.hpp>

#include "cni/invoker.h"
#include "cni/ipam.h"
#include "common/atomic_file.h"
#include "common/fd.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;
namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

std::string_view protocol_name(v1::Protocol protocol) {
  return protocol == v1::UDP ? "udp" : protocol == v1::SCTP ? "sctp" : "tcp";
}

// The capability "portMappings" of the portmap plugin and its like.
json::array port_mappings(const v1::PodSandboxConfig& config) {
  json::array mappings;
  for (const auto& port : config.port_mappings()) {
    if (port.host_port() > 0) {
      mappings.push_back(json::object{{"hostPort", port.host_port()},
                                      {"containerPort", port.container_port()},
                                      {"protocol", protocol_name(port.protocol())},
                                      {"hostIP", port.host_ip()}});
    }
  }
  return mappings;
}

// The names that containerd and CRI-O give plugins, too.
cni::Attachment attachment_of(const SandboxRecord& record) {
  const auto& metadata = record.config().metadata();
  cni::Attachment attachment;
  attachment.container_id = record.id();
  attachment.netns = record.netns_path();
  attachment.args = {{"IgnoreUnknown", "1"},
                     {"K8S_POD_NAMESPACE", metadata.namespace_()},
                     {"K8S_POD_NAME", metadata.name()},
                     {"K8S_POD_INFRA_CONTAINER_ID", record.id()},
                     {"K8S_POD_UID", metadata.uid()}};
  if (auto mappings = port_mappings(record.config()); !mappings.empty()) {
    attachment.capability_args["portMappings"] = std::move(mappings);
  }
  json::object annotations;
  for (const auto& [key, value] : record.config().annotations()) {
    annotations[key] = value;
  }
  attachment.capability_args["io.kubernetes.cri.pod-annotations"] = std::move(annotations);
  return attachment;
}

/// "10.244.1.0/24,fd00:1::/64".
Result<std::vector<std::string>> parse_ranges(const std::string& text) {
  std::vector<std::string> ranges;
  bool known[2] = {};
  for (size_t from = 0; from <= text.size();) {
    const size_t end = std::min(text.find(',', from), text.size());
    const auto range = text.substr(from, end - from);
    KEELSON_TRY(const auto subnet, cni::Subnet::parse(range).context("range of pods \"{}\"", range));
    if (std::exchange(known[subnet.six ? 1 : 0], true)) {
      return fail(Kind::invalid, "range of pods \"{}\": a second one of its family", range);
    }
    ranges.push_back(range);
    from = end + 1;
  }
  return ranges;
}

}  // namespace

Network::Network(std::string conf_dir, std::vector<std::string> bin_dirs, std::string cache_dir,
                 std::chrono::seconds timeout)
    : ranges_file_(cache_dir + "/pod-ranges"),
      invoker_(std::make_unique<cni::Invoker>(cni::Invoker::Options{.conf_dir = std::move(conf_dir),
                                                                    .bin_dirs = std::move(bin_dirs),
                                                                    .cache_dir = std::move(cache_dir),
                                                                    .deadline = timeout})) {
  // What an earlier runtime was told; a broken file is as none, for it is told again.
  if (auto told = read_file(ranges_file_)) {
    ranges_ = parse_ranges(*told).value_or(std::vector<std::string>());
  }
}

Network::~Network() = default;

Result<> Network::set_pod_ranges(const std::string& text) {
  KEELSON_TRY(auto ranges, parse_ranges(text));
  const std::lock_guard lock(mutex_);
  if (ranges != ranges_) {
    KEELSON_DO(make_directories(fs::path(ranges_file_).parent_path(), 0700));
    KEELSON_DO(write_file_atomic(ranges_file_, text, 0600, Durability::power));
    ranges_ = std::move(ranges);
  }
  return {};
}

json::object Network::with_ranges(json::object capability_args) const {
  const std::lock_guard lock(mutex_);
  json::array sets;
  for (const auto& range : ranges_) {
    sets.push_back(json::array{json::object{{"subnet", range}}});
  }
  if (!sets.empty()) {
    capability_args["ipRanges"] = std::move(sets);
  }
  return capability_args;
}

Result<Network::Attachment> Network::attach(const SandboxRecord& record) {
  auto wanted = attachment_of(record);
  wanted.capability_args = with_ranges(std::move(wanted.capability_args));
  KEELSON_TRY(const auto outcome, invoker_->add(wanted));
  Attachment attachment;
  for (const auto& address : outcome.addresses) {
    const auto index = address.interface ? static_cast<size_t>(*address.interface) : outcome.interfaces.size();
    if (index < outcome.interfaces.size() && outcome.interfaces[index].sandbox.empty()) {
      continue;  // an address of the node's end
    }
    attachment.addresses.push_back(address.address.substr(0, address.address.find('/')));
  }
  if (attachment.addresses.empty()) {
    return fail(Kind::internal, "sandbox {}: the CNI plugins gave no address", record.id());
  }
  attachment.result = json::serialize(cni::format_outcome(outcome, cni::kNewestVersion));
  return attachment;
}

Result<> Network::detach(const SandboxRecord& record) {
  return invoker_->del(attachment_of(record));
}

Result<> Network::ready() {
  return invoker_->ready(with_ranges({}));
}

}  // namespace keelson::cri
