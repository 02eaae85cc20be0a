// SPDX-License-Identifier: Apache-2.0
// Rules of containers as such: names, images, ports, resources.
#include <fmt/format.h>

#include <set>

#include "kube/names.h"
#include "kube/validate.h"

namespace keelson::kube {

namespace {

bool is_huge_page(std::string_view name) {
  return name.starts_with("hugepages-");
}

/// Resources of Kubernetes itself, as opposed to "vendor.com/device".
bool is_native(std::string_view name) {
  return name.find('/') == std::string_view::npos || name.find("kubernetes.io/") != std::string_view::npos;
}

void check_resource_name(Checks& checks, std::string_view name, const Path& path) {
  checks.qualified_name(path, name);
  if (name.find('/') != std::string_view::npos) {
    return;
  }
  if (name != "cpu" && name != "memory" && name != "ephemeral-storage" && !is_huge_page(name)) {
    checks.invalid(path, name, "must be a standard resource for containers");
  }
}

void check_resource_value(Checks& checks, std::string_view name, const Quantity& quantity, const Path& path) {
  if (quantity.negative()) {
    checks.invalid(path, quantity.to_string(), "must be greater than or equal to 0");
  }
  if (!is_native(name) && !quantity.integral()) {
    checks.invalid(path, quantity.to_string(), "must be an integer");
  }
  if (is_huge_page(name)) {
    const auto page = Quantity::parse(name.substr(std::string_view("hugepages-").size()));
    if (!page || page->whole() <= 0) {
      checks.invalid(path, name, "must end in a page size, such as hugepages-2Mi");
    } else if (quantity.whole() % page->whole() != 0) {
      checks.invalid(path, quantity.to_string(),
                     fmt::format("must be a multiple of the page size {}", page->to_string()));
    }
  }
}

void check_port(Checks& checks, const ContainerPort& port, bool host_network, const Path& path) {
  if (port.container_port == 0) {
    checks.required(path / "containerPort");
  } else {
    checks.port_number(path / "containerPort", port.container_port);
  }
  if (port.host_port != 0) {
    checks.port_number(path / "hostPort", port.host_port);
    if (host_network && port.host_port != port.container_port) {
      checks.invalid(path / "hostPort", port.host_port, "must match `containerPort` when `hostNetwork` is true");
    }
  }
  if (!port.host_ip.empty()) {
    checks.ip(path / "hostIP", port.host_ip);
  }
}

void check_ports(Checks& checks, const Container& container, bool host_network, const Path& path) {
  std::set<std::string_view> names;
  for (size_t i = 0; i < container.ports.size(); ++i) {
    const ContainerPort& port = container.ports[i];
    const Path at = path[i];
    if (!port.name.empty()) {
      checks.port_name(at / "name", port.name);
      if (!names.insert(port.name).second) {
        checks.duplicate(at / "name", port.name);
      }
    }
    check_port(checks, port, host_network, at);
  }
}

/// Adds what the container takes of the node's ports; `taken` holds "TCP/<ip>/<port>".
void check_host_ports(Checks& checks, const Container& container, std::set<std::string>& taken, const Path& path) {
  for (size_t i = 0; i < container.ports.size(); ++i) {
    const ContainerPort& port = container.ports[i];
    std::string place = fmt::format("{}/{}/{}", to_string(port.protocol), port.host_ip, port.host_port);
    const Path at = path[i];
    if (port.host_port != 0 && taken.contains(place)) {
      checks.duplicate(at / "hostPort", place);
    }
    taken.insert(std::move(place));
  }
}

/// What init, sidecar and main containers share.
class ContainerCheck {
 public:
  ContainerCheck(Checks& checks, const PodSpec& spec, const VolumesByName& volumes)
      : checks_(checks), spec_(spec), volumes_(volumes) {}

  void common(const Container& container, const Path& path) {
    if (container.name.empty()) {
      checks_.required(path / "name");
    } else {
      checks_.dns_label(path / "name", container.name);
      if (!names_.insert(container.name).second) {
        checks_.duplicate(path / "name", container.name);
      }
    }
    const std::string& image = container.image;
    if (image.empty()) {
      checks_.required(path / "image");
    } else if (image.find_first_of(" \t\r\n") == 0 || image.find_last_of(" \t\r\n") == image.size() - 1) {
      checks_.invalid(path / "image", image, "must not have leading or trailing whitespace");
    }
    check_ports(checks_, container, spec_.host_network, path / "ports");
    check_env(checks_, container, path);
    check_mounts(checks_, container, volumes_, path);
    check_resources(checks_, container.resources, path / "resources");
    check_security(checks_, container, spec_.host_users.value_or(true), path / "securityContext");
  }

  void main(const Container& container, const Path& path) {
    common(container, path);
    check_host_ports(checks_, container, taken_, path / "ports");
    check_probes(checks_, container, spec_.termination_grace_period_seconds, path);
    if (container.restart_policy) {
      checks_.forbidden(path / "restartPolicy", "may not be set for non-init containers");
    }
  }

  void init(const Container& container, const Path& path) {
    common(container, path);
    std::set<std::string> own;
    check_host_ports(checks_, container, own, path / "ports");
    if (container.is_sidecar()) {
      return check_probes(checks_, container, spec_.termination_grace_period_seconds, path);
    }
    if (container.restart_policy) {
      checks_.unsupported(path / "restartPolicy", to_string(*container.restart_policy), {"Always"});
    }
    for (const auto& [name, present] : {std::pair<std::string_view, bool>{"lifecycle", container.lifecycle.has_value()},
                                        {"livenessProbe", container.liveness_probe.has_value()},
                                        {"readinessProbe", container.readiness_probe.has_value()},
                                        {"startupProbe", container.startup_probe.has_value()}}) {
      if (present) {
        checks_.forbidden(path / name, "may not be set for init containers without restartPolicy=Always");
      }
    }
  }

 private:
  Checks& checks_;
  const PodSpec& spec_;
  const VolumesByName& volumes_;
  std::set<std::string_view> names_;
  std::set<std::string> taken_;
};

}  // namespace

void check_resources(Checks& checks, const ResourceRequirements& resources, const Path& path) {
  const Path limits = path / "limits";
  const Path requests = path / "requests";
  bool huge = false;
  bool usual = false;
  const auto check_list = [&](const ResourceList& list, const Path& at) {
    for (const auto& [name, quantity] : list) {
      check_resource_name(checks, name, at.key(name));
      check_resource_value(checks, name, quantity, at.key(name));
      huge = huge || is_huge_page(name);
      usual = usual || name == "cpu" || name == "memory";
    }
  };
  check_list(resources.limits, limits);
  check_list(resources.requests, requests);
  for (const auto& [name, request] : resources.requests) {
    const bool overcommit = is_native(name) && !is_huge_page(name);
    const auto limit = resources.limits.find(name);
    if (limit == resources.limits.end()) {
      if (!overcommit) {
        checks.required(limits, "Limit must be set for non overcommitable resources");
      }
    } else if (!overcommit && request != limit->second) {
      checks.invalid(requests, request.to_string(),
                     fmt::format("must be equal to {} limit of {}", name, limit->second.to_string()));
    } else if (request > limit->second) {
      checks.invalid(requests, request.to_string(),
                     fmt::format("must be less than or equal to {} limit of {}", name, limit->second.to_string()));
    }
  }
  if (huge && !usual) {
    checks.forbidden(path, "HugePages require cpu or memory");
  }
}

void check_containers(Checks& checks, const PodSpec& spec, const VolumesByName& volumes, const Path& path) {
  ContainerCheck check(checks, spec, volumes);
  const Path mains = path / "containers";
  if (spec.containers.empty()) {
    checks.required(mains);
  }
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    check.main(spec.containers[i], mains[i]);
  }
  const Path inits = path / "initContainers";
  for (size_t i = 0; i < spec.init_containers.size(); ++i) {
    check.init(spec.init_containers[i], inits[i]);
  }
}

}  // namespace keelson::kube
