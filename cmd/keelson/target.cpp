// SPDX-License-Identifier: Apache-2.0
// kubectl's rule for the default container.
#include "cmd/keelson/target.h"

#include <algorithm>
#include <cstdio>

#include "cmd/keelson/output.h"

namespace keelson::cli {

namespace {

std::vector<std::string> container_names(const boost::json::value& pod) {
  std::vector<std::string> names;
  for (const char* field : {"containers", "initContainers"}) {
    for (const auto& container : list_at(pod, {"spec", field})) {
      names.push_back(text_at(container, {"name"}));
    }
  }
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) {
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

}  // namespace

Result<std::string> choose_container(const Session& session, const std::string& space, const std::string& pod,
                                     const std::string& asked) {
  KEELSON_TRY(auto list, session.admin().get("/pods"));
  for (const auto& item : list_at(list, {"items"})) {
    if (text_at(item, {"metadata", "namespace"}) != space || text_at(item, {"metadata", "name"}) != pod) {
      continue;
    }
    auto names = container_names(item);
    if (!asked.empty()) {
      if (std::find(names.begin(), names.end(), asked) == names.end()) {
        return fail(Kind::not_found, "container {} is not in pod {}; it has: {}", asked, pod, joined(names));
      }
      return asked;
    }
    if (names.size() > 1) {
      std::fprintf(stderr, "Defaulted container \"%s\" out of: %s\n", names.front().c_str(), joined(names).c_str());
    }
    return names.front();
  }
  return fail(Kind::not_found, "pods \"{}\" not found in namespace {}", pod, space);
}

}  // namespace keelson::cli
