// SPDX-License-Identifier: Apache-2.0
// unit_name.h.
#include "common/cgroup/unit_name.h"

#include <algorithm>

#include "common/cgroup/hierarchy.h"

namespace keelson::cgroup {

namespace {

constexpr std::string_view kSlice = ".slice";

}  // namespace

std::string_view to_string(Driver driver) {
  return driver == Driver::systemd ? "systemd" : "cgroupfs";
}

std::string slice_path(std::string_view slice) {
  if (slice == "-.slice") {
    return "";
  }
  std::string path;
  if (is_slice(slice)) {
    const auto name = slice.substr(0, slice.size() - kSlice.size());
    for (size_t dash = name.find('-'); dash != std::string_view::npos; dash = name.find('-', dash + 1)) {
      path.append("/").append(name.substr(0, dash)).append(kSlice);
    }
  }
  return path.append("/").append(slice);
}

std::string nested_path(Driver driver, std::initializer_list<std::string_view> parts) {
  std::string path;
  for (const auto part : parts) {
    for (auto name : words(part, '/')) {
      if (driver == Driver::systemd) {  // a dash is what parts slices
        std::ranges::replace(name, '-', '_');
      }
      path += (driver == Driver::cgroupfs ? "/" : path.empty() ? "" : "-") + name;
    }
  }
  return driver == Driver::cgroupfs ? path : slice_path((path.empty() ? "-" : path) + std::string(kSlice));
}

std::string parent_path(const std::string& parent, const std::string& fallback) {
  const auto& path = parent.empty() ? fallback : parent;
  if (is_slice(path) && path.find('/') == std::string::npos) {
    return slice_path(path);
  }
  return path.starts_with('/') ? path : "/" + path;
}

std::string unit_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::string slice_of(std::string_view path) {
  const auto slash = path.rfind('/');
  const auto above = slash == std::string_view::npos ? std::string() : unit_of(path.substr(0, slash));
  return above.empty() ? "-.slice" : above;
}

bool is_slice(std::string_view unit) {
  return unit.ends_with(kSlice);
}

}  // namespace keelson::cgroup
