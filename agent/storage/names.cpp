// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/names.h"

#include <fmt/format.h>

#include "common/sha256.h"

namespace keelson::storage {

std::string attachment_name(std::string_view handle, std::string_view driver, std::string_view node) {
  return "csi-" + sha256_hex(fmt::format("{}{}{}", handle, driver, node));
}

std::string inline_handle(std::string_view pod_uid, std::string_view volume) {
  return "csi-" + sha256_hex(fmt::format("{}{}", pod_uid, volume));
}

std::string unique_name(std::string_view driver, std::string_view handle) {
  return fmt::format("kubernetes.io/csi/{}^{}", driver, handle);
}

std::string volumes_dir(const std::string& root, std::string_view uid, std::string_view plugin, std::string_view name) {
  return fmt::format("{}/pods/{}/volumes/kubernetes.io~{}{}{}", root, uid, plugin, name.empty() ? "" : "/", name);
}

std::string device_dir(const std::string& root, std::string_view driver, std::string_view handle) {
  return fmt::format("{}/plugins/kubernetes.io/csi/{}/{}", root, driver, sha256_hex(handle));
}

}  // namespace keelson::storage
