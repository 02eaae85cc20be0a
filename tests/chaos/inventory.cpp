// SPDX-License-Identifier: Apache-2.0
// inventory.h: three ways to look.
#include "tests/chaos/inventory.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "common/store.h"

namespace keelson::chaos {

namespace fs = std::filesystem;
using testing::read_text;

namespace {

bool is_id(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// The 64 hex digits in `text`, wherever they stand.
Ids ids_in(const std::string& text) {
  Ids ids;
  for (size_t at = 0; at < text.size();) {
    auto end = text.find_first_not_of("0123456789abcdef", at);
    end = std::min(end, text.size());
    if (auto word = text.substr(at, end - at); is_id(word)) {
      ids.insert(word);
    }
    at = end + 1;
  }
  return ids;
}

Ids names_in(const std::string& folder) {
  Ids ids;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    ids.merge(ids_in(entry.path().filename()));
  }
  return ids;
}

bool is_pid(const std::string& name) {
  return name.find_first_not_of("0123456789") == std::string::npos;
}

void look_at_cgroups(const Node& node, Found* out) {
  std::error_code ignored;
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup", ignored)) {
    auto top = hierarchy.path().string() + node.cgroup();
    for (auto it = fs::recursive_directory_iterator(top, ignored); it != fs::recursive_directory_iterator();
         it.increment(ignored)) {
      auto name = it->path().filename().string();
      if (!is_id(name)) {
        continue;
      }
      out->cgroups.insert(name);
      if (!read_text(it->path() / "cgroup.procs").empty()) {
        out->occupied.insert(name);
      }
    }
  }
}

void tell(const Ids& surplus, const std::string& what, std::vector<std::string>* out) {
  for (const auto& id : surplus) {
    out->push_back(fmt::format("{}: {}", what, id));
  }
}

Ids operator-(const Ids& all, const Ids& some) {
  Ids rest;
  std::ranges::set_difference(all, some, std::inserter(rest, rest.end()));
  return rest;
}

Ids operator+(Ids one, const Ids& other) {
  one.insert(other.begin(), other.end());
  return one;
}

}  // namespace

bool list(const Node& node, Listed* out) {
  auto stub = node.runtime();
  grpc::ClientContext sandboxes_context;
  sandboxes_context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::ListPodSandboxResponse sandboxes;
  grpc::ClientContext containers_context;
  containers_context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  v1::ListContainersResponse containers;
  if (!stub->ListPodSandbox(&sandboxes_context, {}, &sandboxes).ok() ||
      !stub->ListContainers(&containers_context, {}, &containers).ok()) {
    return false;
  }
  *out = {};
  Ids handled;
  for (const auto& sandbox : sandboxes.items()) {
    if (!sandbox.runtime_handler().empty()) {
      handled.insert(sandbox.id());
    }
    (sandbox.state() == v1::SANDBOX_READY ? out->ready : out->not_ready).insert(sandbox.id());
    if (sandbox.labels().contains("network")) {
      out->host_network.insert(sandbox.id());
    }
  }
  for (const auto& container : containers.containers()) {
    out->containers[container.id()] = container.state();
    if (handled.contains(container.pod_sandbox_id())) {
      out->foreign.insert(container.id());
    }
  }
  return true;
}

Stored stored(const Node& node) {
  Stored out;
  const std::string_view no_steps[] = {"SELECT 1"};  // the schema is there; nothing is changed
  auto store = Store::open(node.state_dir() + "/runtime.db", no_steps);
  if (!store) {
    fmt::print("{}\n", store.error().message());
    return out;
  }
  for (auto [sql, ids] : {std::pair{"SELECT id FROM sandboxes", &out.sandboxes},
                          std::pair{"SELECT id FROM containers", &out.containers}}) {
    if (auto rows = (*store)->query(sql)) {
      for (const auto& row : *rows) {
        ids->insert(text_of(row.at(0)));
      }
    }
  }
  return out;
}

Found found(const Node& node) {
  Found out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    if (is_pid(entry.path().filename())) {
      auto line = read_text(entry.path() / "cmdline");
      if (line.find("keelson-shim") != std::string::npos && line.find(node.home()) != std::string::npos) {
        out.shims.merge(ids_in(line));
      }
    }
  }
  out.namespaces = names_in(node.run_dir() + "/netns");
  for (const auto& mount : mounts_of(node)) {
    if (mount.ends_with("/shm")) {
      out.memories.merge(ids_in(mount));
    }
  }
  out.sandbox_folders = names_in(node.run_dir() + "/sandboxes");
  out.sandbox_files = names_in(node.state_dir() + "/sandboxes");
  out.container_folders = names_in(node.state_dir() + "/containers");
  out.known_to_runc = names_in(node.run_dir() + "/oci/runc");
  look_at_cgroups(node, &out);
  out.leases = ids_in(testing::run({node.bin() + "/keelson-cni", "--list", node.leases()}).out);
  out.results = names_in(node.state_dir() + "/cni/results");
  auto links = testing::run({"ip", "-o", "link", "show", "type", "veth"}).out;
  out.links = static_cast<size_t>(std::ranges::count(links, '\n'));
  return out;
}

std::vector<std::string> disagreements(const Listed& listed, const Found& seen) {
  std::vector<std::string> out;
  const Ids sandboxes = listed.ready + listed.not_ready;
  Ids containers;
  Ids living;
  for (const auto& [id, state] : listed.containers) {
    containers.insert(id);
    if (state == v1::CONTAINER_RUNNING || state == v1::CONTAINER_CREATED) {
      living.insert(id);
    }
  }
  const Ids networked = listed.ready - listed.host_network;
  tell(listed.ready - seen.shims, "ready, but its shim does not run", &out);
  tell(seen.shims - listed.ready, "a shim whose sandbox is not ready", &out);
  tell(networked - seen.namespaces, "ready, but its network namespace is not pinned", &out);
  tell(seen.namespaces - sandboxes, "a network namespace of no sandbox", &out);
  tell(listed.ready - seen.memories, "ready, but has no shared memory", &out);
  tell(seen.memories - sandboxes, "shared memory of no sandbox", &out);
  tell(listed.ready - seen.sandbox_folders, "ready, but has no folder", &out);
  tell(seen.sandbox_folders - sandboxes, "a folder of no sandbox", &out);
  tell(seen.sandbox_files - sandboxes, "files of no sandbox", &out);
  tell(containers - seen.container_folders, "a container without its folder", &out);
  tell(seen.container_folders - containers, "a folder of no container", &out);
  tell(seen.known_to_runc - containers, "runc knows a container that is not listed", &out);
  tell((sandboxes + (containers - listed.foreign) + living) - seen.cgroups, "listed, but its cgroup is gone", &out);
  tell(seen.cgroups - (sandboxes + containers), "a cgroup of nobody", &out);
  tell(living - seen.occupied, "created or running, but no process is in its cgroup", &out);
  tell(seen.occupied - (listed.ready + living), "processes in the cgroup of what has ended", &out);
  tell(networked - seen.leases, "ready, but has no address", &out);
  tell(seen.leases - sandboxes, "an address of no sandbox", &out);
  tell(seen.results - sandboxes, "a CNI result of no sandbox", &out);
  if (seen.links != seen.leases.size()) {
    out.push_back(fmt::format("{} links, {} addresses", seen.links, seen.leases.size()));
  }
  return out;
}

std::vector<std::string> disagreements(const Listed& listed, const Stored& kept) {
  std::vector<std::string> out;
  Ids containers;
  for (const auto& [id, state] : listed.containers) {
    containers.insert(id);
  }
  const Ids sandboxes = listed.ready + listed.not_ready;
  tell(sandboxes - kept.sandboxes, "a sandbox that is not in the store", &out);
  tell(kept.sandboxes - sandboxes, "a sandbox in the store that is not listed", &out);
  tell(containers - kept.containers, "a container that is not in the store", &out);
  tell(kept.containers - containers, "a container in the store that is not listed", &out);
  return out;
}

std::vector<pid_t> processes_of(const Node& node) {
  std::vector<pid_t> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    auto name = entry.path().filename().string();
    if (!is_pid(name) || std::stoi(name) == node.pid()) {
      continue;
    }
    auto line = read_text(entry.path() / "cmdline");
    bool shim = line.find("keelson-shim") != std::string::npos && line.find(node.home()) != std::string::npos;
    if (shim || read_text(entry.path() / "cgroup").find(node.cgroup()) != std::string::npos) {
      out.push_back(std::stoi(name));
    }
  }
  return out;
}

std::vector<std::string> mounts_of(const Node& node) {
  std::vector<std::string> out;
  std::istringstream lines(read_text("/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    for (int field = 0; field < 5; ++field) {
      words >> word;
    }
    if (word.starts_with(node.home())) {
      out.push_back(word);
    }
  }
  return out;
}

std::vector<std::string> leftovers(const Node& node) {
  std::vector<std::string> out = disagreements(Listed{}, found(node));
  for (const auto& pid : processes_of(node)) {
    out.push_back(fmt::format("process {}: {}", pid, read_text(fmt::format("/proc/{}/cmdline", pid))));
  }
  for (const auto& mount : mounts_of(node)) {
    out.push_back("mount " + mount);
  }
  return out;
}

}  // namespace keelson::chaos
