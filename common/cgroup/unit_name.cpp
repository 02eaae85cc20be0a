// SPDX-License-Identifier: Apache-2.0
// unit_name.h.
#include "common/cgroup/unit_name.h"

namespace keelson::cgroup {

namespace {

constexpr std::string_view kSlice = ".slice";

}  // namespace

std::string slice_path(std::string_view slice) {
  if (slice == "-.slice") {
    return "";
  }
  std::string path;
  if (slice.ends_with(kSlice)) {
    const auto name = slice.substr(0, slice.size() - kSlice.size());
    for (size_t dash = name.find('-'); dash != std::string_view::npos; dash = name.find('-', dash + 1)) {
      path.append("/").append(name.substr(0, dash)).append(kSlice);
    }
  }
  return path.append("/").append(slice);
}

std::string parent_path(const std::string& parent, const std::string& fallback) {
  const auto& path = parent.empty() ? fallback : parent;
  if (path.ends_with(kSlice) && path.find('/') == std::string::npos) {
    return slice_path(path);
  }
  return path.starts_with('/') ? path : "/" + path;
}

}  // namespace keelson::cgroup
