// SPDX-License-Identifier: Apache-2.0
// Containers and images over CRI.
#include "cmd/keelson/runtime_lists.h"

#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <optional>

#include <boost/json/value.hpp>

#include "cmd/keelson/output.h"
#include "common/loop.h"
#include "common/task_group.h"
#include "cri/client/client.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

constexpr auto kDeadline = std::chrono::seconds(10);
constexpr auto kLoadDeadline = std::chrono::minutes(10);

/// Stores the outcome of `task` and ends the loop.
template <class T>
Task<> keep_outcome(Loop* loop, Task<T> task, std::optional<Result<T>>* outcome) {
  *outcome = co_await std::move(task);
  loop->stop();
  co_return Result<>();
}

/// Runs one call on a loop of its own.
template <class T>
Result<T> ask(const std::string& socket, const std::function<Task<T>(cri::RuntimeClient&)>& call) {
  Loop loop(real_clock(), "kl-cli");
  auto runtime = cri::connect_runtime(loop, socket);
  std::optional<Result<T>> outcome;
  TaskGroup group(loop);
  group.spawn("call", keep_outcome<T>(&loop, call(*runtime), &outcome));
  loop.run();
  if (!outcome) {
    return fail(Kind::internal, "the runtime on {} did not answer", socket);
  }
  return std::move(*outcome).context("runtime on {}", socket);
}

json::array to_json(const std::vector<std::string>& list) {
  json::array out;
  for (const auto& item : list) {
    out.emplace_back(item);
  }
  return out;
}

std::string time_text(int64_t ns) {
  return ns == 0 ? "" : format_rfc3339(WallTime(Duration(ns)));
}

std::string short_id(std::string id) {
  if (id.starts_with("sha256:")) {
    id.erase(0, 7);
  }
  return id.substr(0, 13);
}

std::string label(const cri::ContainerStatus& container, const char* key) {
  auto found = container.labels.find(key);
  return found == container.labels.end() ? "" : found->second;
}

const char* state_text(cri::ContainerState state) {
  switch (state) {
    case cri::ContainerState::created:
      return "Created";
    case cri::ContainerState::running:
      return "Running";
    case cri::ContainerState::exited:
      return "Exited";
    case cri::ContainerState::unknown:
      return "Unknown";
  }
  return "Unknown";
}

std::string size_text(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{}B", bytes) : fmt::format("{:.3g}{}", value, kUnits[unit]);
}

/// Prints either the objects or the rows.
Result<int> print(const std::string& output, bool headers, json::array items,
                  const std::function<std::vector<std::vector<std::string>>(bool wide)>& rows) {
  KEELSON_TRY(auto format, parse_format(output));
  if (format == Format::json || format == Format::yaml) {
    json::object list{{"items", std::move(items)}};
    std::fputs((format == Format::json ? format_json(list) : format_yaml(list)).c_str(), stdout);
    return 0;
  }
  auto table = rows(format == Format::wide);
  if (!headers) {
    table.erase(table.begin());
  }
  std::fputs(format_table(table).c_str(), stdout);
  return 0;
}

}  // namespace

Result<int> print_containers(const std::string& socket, const std::string& output, bool headers) {
  KEELSON_TRY(auto containers, ask<std::vector<cri::ContainerStatus>>(
                                   socket, [](cri::RuntimeClient& r) { return r.list_containers({}, kDeadline); }));
  json::array items;
  for (const auto& container : containers) {
    items.push_back(json::object{{"id", container.id},
                                 {"name", container.name},
                                 {"attempt", container.attempt},
                                 {"state", state_text(container.state)},
                                 {"created", time_text(container.created_at)},
                                 {"image", container.image},
                                 {"imageRef", container.image_ref},
                                 {"sandboxId", container.sandbox_id},
                                 {"pod", label(container, "io.kubernetes.pod.name")},
                                 {"namespace", label(container, "io.kubernetes.pod.namespace")}});
  }
  return print(output, headers, std::move(items), [&](bool wide) {
    std::vector<std::vector<std::string>> rows = {
        {"CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD", "NAMESPACE"}};
    for (const auto& container : containers) {
      rows.push_back({wide ? container.id : short_id(container.id), container.image,
                      age_of(time_text(container.created_at)) + " ago", state_text(container.state), container.name,
                      std::to_string(container.attempt), label(container, "io.kubernetes.pod.name"),
                      label(container, "io.kubernetes.pod.namespace")});
    }
    return rows;
  });
}

Result<int> print_images(const std::string& socket, const std::string& output, bool headers) {
  KEELSON_TRY(auto images,
              ask<std::vector<cri::Image>>(socket, [](cri::RuntimeClient& r) { return r.list_images(kDeadline); }));
  json::array items;
  for (const auto& image : images) {
    items.push_back(json::object{{"id", image.id},
                                 {"repoTags", to_json(image.repo_tags)},
                                 {"repoDigests", to_json(image.repo_digests)},
                                 {"size", image.size},
                                 {"pinned", image.pinned}});
  }
  return print(output, headers, std::move(items), [&](bool wide) {
    std::vector<std::vector<std::string>> rows = {{"IMAGE", "TAG", "IMAGE ID", "SIZE"}};
    for (const auto& image : images) {
      auto tags = image.repo_tags.empty() ? std::vector<std::string>{"<none>:<none>"} : image.repo_tags;
      for (const auto& tag : tags) {
        auto colon = tag.rfind(':');
        rows.push_back(
            {tag.substr(0, colon), tag.substr(colon + 1), wide ? image.id : short_id(image.id), size_text(image.size)});
      }
    }
    return rows;
  });
}

Result<int> load_image(const std::string& socket, const std::string& path) {
  // The runtime may have another working folder.
  char* whole = ::realpath(path.c_str(), nullptr);
  if (whole == nullptr) {
    return fail_errno(errno, "{}", path);
  }
  std::string absolute = whole;
  ::free(whole);
  KEELSON_TRY(auto names, ask<std::vector<std::string>>(
                              socket, [&](cri::RuntimeClient& r) { return r.load_image(absolute, kLoadDeadline); }));
  for (const auto& name : names) {
    std::printf("loaded %s\n", name.c_str());
  }
  return 0;
}

}  // namespace keelson::cli
