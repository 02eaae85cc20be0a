// SPDX-License-Identifier: Apache-2.0
// The layout of `describe pod`.
#include "cmd/keelson/describe.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "cmd/keelson/output.h"
#include "cmd/keelson/pod_table.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

/// Lines "Key:   value", values of one block in one column.
class Block {
 public:
  explicit Block(size_t indent, size_t width = 18) : indent_(indent, ' '), width_(width) {}
  void line(const std::string& key, const std::string& value) {
    std::string label = key + ":";
    label.resize(std::max(label.size() + 1, width_), ' ');
    out_ += indent_ + label + value + "\n";
  }
  void text(const std::string& text) { out_ += indent_ + text + "\n"; }
  void append(const std::string& block) { out_ += block; }
  const std::string& str() const { return out_; }

 private:
  std::string indent_;
  size_t width_;
  std::string out_;
};

void map_lines(Block& block, const std::string& key, const json::value& map) {
  const auto* object = map.if_object();
  if (object == nullptr || object->empty()) {
    block.line(key, "<none>");
    return;
  }
  std::string label = key;
  for (const auto& [name, value] : *object) {
    std::string text(name);
    text += key == "Labels" ? "=" : ": ";
    text += value.is_string() ? std::string(value.get_string()) : json::serialize(value);
    if (label.empty()) {
      block.text(std::string(18, ' ') + text);
    } else {
      block.line(label, text);
    }
    label.clear();
  }
}

std::string join(const json::array& list, std::string_view separator) {
  std::string out;
  for (const auto& item : list) {
    out += (out.empty() ? "" : std::string(separator)) +
           (item.is_string() ? std::string(item.get_string()) : json::serialize(item));
  }
  return out;
}

void state_lines(Block& block, const std::string& key, const json::value& state) {
  if (const auto& running = find(state, {"running"}); running.is_object()) {
    block.line(key, "Running");
    block.line("  Started", text_at(running, {"startedAt"}));
  } else if (const auto& waiting = find(state, {"waiting"}); waiting.is_object()) {
    block.line(key, "Waiting");
    block.line("  Reason", text_at(waiting, {"reason"}));
    if (auto message = text_at(waiting, {"message"}); !message.empty()) {
      block.line("  Message", message);
    }
  } else if (const auto& ended = find(state, {"terminated"}); ended.is_object()) {
    block.line(key, "Terminated");
    block.line("  Reason", text_at(ended, {"reason"}));
    if (auto message = text_at(ended, {"message"}); !message.empty()) {
      block.line("  Message", message);
    }
    block.line("  Exit Code", std::to_string(number_at(ended, {"exitCode"})));
    block.line("  Started", text_at(ended, {"startedAt"}));
    block.line("  Finished", text_at(ended, {"finishedAt"}));
  } else if (key == "State") {
    block.line(key, "Waiting");
  }
}

std::string port_text(const json::value& port) {
  return port.is_string() ? std::string(port.get_string()) : json::serialize(port);
}

std::string probe_text(const json::value& probe) {
  std::string action = "<unknown>";
  if (const auto& http = find(probe, {"httpGet"}); http.is_object()) {
    auto scheme = text_at(http, {"scheme"}, "HTTP");
    action = fmt::format("http-get {}://{}:{}{}", scheme == "HTTPS" ? "https" : "http", text_at(http, {"host"}),
                         port_text(find(http, {"port"})), text_at(http, {"path"}));
  } else if (const auto& tcp = find(probe, {"tcpSocket"}); tcp.is_object()) {
    action = fmt::format("tcp-socket {}:{}", text_at(tcp, {"host"}), port_text(find(tcp, {"port"})));
  } else if (const auto& grpc = find(probe, {"grpc"}); grpc.is_object()) {
    action = fmt::format("grpc <pod>:{} {}", number_at(grpc, {"port"}), text_at(grpc, {"service"}));
  } else if (const auto& exec = find(probe, {"exec"}); exec.is_object()) {
    action = fmt::format("exec [{}]", join(list_at(exec, {"command"}), " "));
  }
  return fmt::format("{} delay={}s timeout={}s period={}s #success={} #failure={}", action,
                     number_at(probe, {"initialDelaySeconds"}), number_at(probe, {"timeoutSeconds"}),
                     number_at(probe, {"periodSeconds"}), number_at(probe, {"successThreshold"}),
                     number_at(probe, {"failureThreshold"}));
}

void environment_lines(Block& block, const json::value& container) {
  const auto& env = list_at(container, {"env"});
  if (env.empty()) {
    block.line("Environment", "<none>");
    return;
  }
  block.text("Environment:");
  for (const auto& variable : env) {
    std::string value = text_at(variable, {"value"});
    if (const auto& from = find(variable, {"valueFrom"}); from.is_object()) {
      const auto& [kind, reference] = *from.get_object().begin();
      value =
          fmt::format("<set by {}: {}>", std::string_view(kind),
                      text_at(reference, {"fieldPath"}, text_at(reference, {"key"}, text_at(reference, {"resource"}))));
    }
    block.text(fmt::format("  {}:  {}", text_at(variable, {"name"}), value));
  }
}

std::string container_text(const json::value& container, const json::value& status) {
  Block block(4, 16);
  block.line("Container ID", text_at(status, {"containerID"}));
  block.line("Image", text_at(container, {"image"}));
  block.line("Image ID", text_at(status, {"imageID"}));
  std::string ports;
  for (const auto& port : list_at(container, {"ports"})) {
    ports += fmt::format("{}{}/{}", ports.empty() ? "" : ", ", number_at(port, {"containerPort"}),
                         text_at(port, {"protocol"}, "TCP"));
  }
  block.line("Port", ports.empty() ? "<none>" : ports);
  for (const char* key : {"command", "args"}) {
    if (const auto& list = list_at(container, {key}); !list.empty()) {
      block.text(std::string(key) == "command" ? "Command:" : "Args:");
      for (const auto& item : list) {
        block.text("  " + port_text(item));
      }
    }
  }
  state_lines(block, "State", find(status, {"state"}));
  state_lines(block, "Last State", find(status, {"lastState"}));
  const auto& ready = find(status, {"ready"});
  block.line("Ready", ready.is_bool() && ready.get_bool() ? "True" : "False");
  block.line("Restart Count", std::to_string(number_at(status, {"restartCount"})));
  for (const char* key : {"limits", "requests"}) {
    if (const auto* map = find(container, {"resources", key}).if_object(); map != nullptr && !map->empty()) {
      block.text(std::string(key) == "limits" ? "Limits:" : "Requests:");
      for (const auto& [name, value] : *map) {
        block.text(fmt::format("  {}:  {}", std::string_view(name), port_text(value)));
      }
    }
  }
  for (const char* kind : {"liveness", "readiness", "startup"}) {
    if (const auto& probe = find(container, {fmt::format("{}Probe", kind)}); probe.is_object()) {
      std::string label(kind);
      label[0] = static_cast<char>(label[0] - 'a' + 'A');
      block.line(label, probe_text(probe));
    }
  }
  environment_lines(block, container);
  const auto& mounts = list_at(container, {"volumeMounts"});
  if (mounts.empty()) {
    block.line("Mounts", "<none>");
  } else {
    block.text("Mounts:");
    for (const auto& mount : mounts) {
      const auto& read_only = find(mount, {"readOnly"});
      block.text(fmt::format("  {} from {} ({})", text_at(mount, {"mountPath"}), text_at(mount, {"name"}),
                             read_only.is_bool() && read_only.get_bool() ? "ro" : "rw"));
    }
  }
  return block.str();
}

void container_blocks(Block& out, const json::value& pod, const char* title, const char* field,
                      const char* status_field) {
  const auto& containers = list_at(pod, {"spec", field});
  if (containers.empty()) {
    return;
  }
  out.text(std::string(title) + ":");
  for (const auto& container : containers) {
    auto name = text_at(container, {"name"});
    static const json::value kNone;
    const json::value* status = &kNone;
    for (const auto& candidate : list_at(pod, {"status", status_field})) {
      if (text_at(candidate, {"name"}) == name) {
        status = &candidate;
      }
    }
    out.text("  " + name + ":");
    out.append(container_text(container, *status));
  }
}

void volume_lines(Block& out, const json::value& pod) {
  const auto& volumes = list_at(pod, {"spec", "volumes"});
  if (volumes.empty()) {
    out.line("Volumes", "<none>");
    return;
  }
  out.text("Volumes:");
  for (const auto& volume : volumes) {
    out.text("  " + text_at(volume, {"name"}) + ":");
    for (const auto& [kind, source] : volume.get_object()) {
      if (kind != "name") {
        out.text(fmt::format("    {}: {}", std::string_view(kind), json::serialize(source)));
      }
    }
  }
}

}  // namespace

std::string format_events(const json::value& events, bool namespaces) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> header = {"LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"};
  if (namespaces) {
    header.insert(header.begin(), "NAMESPACE");
  }
  rows.push_back(header);
  for (const auto& event : list_at(events, {"items"})) {
    auto count = number_at(event, {"count"});
    auto age = age_of(text_at(event, {"lastTimestamp"}));
    if (count > 1) {
      age = fmt::format("{} (x{} over {})", age, count, age_of(text_at(event, {"firstTimestamp"})));
    }
    std::vector<std::string> row = {
        age, text_at(event, {"type"}), text_at(event, {"reason"}),
        fmt::format("{}/{}", text_at(event, {"involvedObject", "kind"}), text_at(event, {"involvedObject", "name"})),
        text_at(event, {"message"})};
    if (namespaces) {
      row.insert(row.begin(), text_at(event, {"metadata", "namespace"}));
    }
    rows.push_back(row);
  }
  return format_table(rows);
}

std::string describe_pod(const json::value& pod, const json::value& events) {
  Block out(0);
  auto row = pod_row(pod);
  out.line("Name", text_at(pod, {"metadata", "name"}));
  out.line("Namespace", text_at(pod, {"metadata", "namespace"}));
  out.line("Node", row.node);
  out.line("Start Time", text_at(pod, {"status", "startTime"}, "<unknown>"));
  map_lines(out, "Labels", find(pod, {"metadata", "labels"}));
  map_lines(out, "Annotations", find(pod, {"metadata", "annotations"}));
  out.line("Status", row.status == "Terminating" ? row.status : text_at(pod, {"status", "phase"}));
  if (auto reason = text_at(pod, {"status", "reason"}); !reason.empty()) {
    out.line("Reason", reason);
    out.line("Message", text_at(pod, {"status", "message"}));
  }
  out.line("IP", text_at(pod, {"status", "podIP"}));
  out.text("IPs:");
  for (const auto& ip : list_at(pod, {"status", "podIPs"})) {
    out.text("  IP:           " + text_at(ip, {"ip"}));
  }
  container_blocks(out, pod, "Init Containers", "initContainers", "initContainerStatuses");
  container_blocks(out, pod, "Containers", "containers", "containerStatuses");
  out.text("Conditions:");
  std::vector<std::vector<std::string>> conditions = {{"  Type", "Status"}};
  for (const auto& condition : list_at(pod, {"status", "conditions"})) {
    conditions.push_back({"  " + text_at(condition, {"type"}), text_at(condition, {"status"})});
  }
  out.append(format_table(conditions));
  volume_lines(out, pod);
  out.line("QoS Class", text_at(pod, {"status", "qosClass"}));
  if (list_at(events, {"items"}).empty()) {
    out.line("Events", "<none>");
    return out.str();
  }
  out.text("Events:");
  std::vector<std::vector<std::string>> rows = {{"  Type", "Reason", "Age", "From", "Message"},
                                                {"  ----", "------", "----", "----", "-------"}};
  for (const auto& event : list_at(events, {"items"})) {
    auto age = age_of(text_at(event, {"lastTimestamp"}));
    if (auto count = number_at(event, {"count"}); count > 1) {
      age = fmt::format("{} (x{} over {})", age, count, age_of(text_at(event, {"firstTimestamp"})));
    }
    rows.push_back({"  " + text_at(event, {"type"}), text_at(event, {"reason"}), age,
                    text_at(event, {"source", "component"}), text_at(event, {"message"})});
  }
  out.append(format_table(rows));
  return out.str();
}

}  // namespace keelson::cli
