// SPDX-License-Identifier: Apache-2.0
// Links made and found again.
#include "agent/config/log_links.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "common/fd.h"

namespace keelson::agent {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMaxName = 255;

/// The pod's folder ("<ns>_<name>_<uid>") that a link leads to; empty if it is not one of ours.
std::string pod_folder(const fs::path& link, const std::string& pod_logs_dir) {
  std::error_code error;
  auto target = fs::read_symlink(link, error).string();
  auto prefix = pod_logs_dir + "/";
  if (error || !target.starts_with(prefix)) {
    return "";
  }
  return target.substr(prefix.size(), target.find('/', prefix.size()) - prefix.size());
}

void remove_if(const LogLinks& links, const std::function<bool(const std::string& name, const std::string& pod)>& is) {
  std::error_code error;
  for (auto it = fs::directory_iterator(links.folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    auto pod = pod_folder(it->path(), links.pod_logs_dir);
    if (!pod.empty() && is(it->path().filename(), pod)) {
      ::unlink(it->path().c_str());
    }
  }
}

}  // namespace

Result<> LogLinks::add(const kube::ObjectMeta& pod, const std::string& container, const std::string& id,
                       const std::string& log) const {
  if (folder.empty()) {
    return {};
  }
  KEELSON_DO(make_directories(folder));
  auto name = fmt::format("{}_{}_{}-{}", pod.name, pod.ns, container, id);
  constexpr std::string_view kEnd = ".log";
  name.resize(std::min(name.size(), kMaxName - kEnd.size()));
  auto link = fmt::format("{}/{}{}", folder, name, kEnd);
  std::error_code error;
  if (::symlink(log.c_str(), link.c_str()) < 0 && (errno != EEXIST || fs::read_symlink(link, error) != log)) {
    return fail_errno(errno, "link {} to {}", link, log);
  }
  return {};
}

void LogLinks::remove_container(const std::string& id) const {
  remove_if(*this, [end = "-" + id + ".log"](const auto& name, const auto&) { return name.ends_with(end); });
}

void LogLinks::remove_pod(const std::string& uid) const {
  remove_if(*this, [end = "_" + uid](const auto&, const auto& pod) { return pod.ends_with(end); });
}

}  // namespace keelson::agent
