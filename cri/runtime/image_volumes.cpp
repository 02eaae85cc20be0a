// SPDX-License-Identifier: Apache-2.0
#include "cri/runtime/image_volumes.h"

#include <fmt/ranges.h>

#include "common/fd.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

// In containerd's words.
Result<RootImage> acquire(ImageSource& images, const v1::Mount& mount, const std::string& user) {
  const auto& path = mount.container_path();
  if (!mount.host_path().empty()) {
    return fail(Kind::invalid, "{}: hostpath must be empty while mount image: {}", kImageVolumeMountFailed, path);
  }
  if (!mount.readonly()) {
    return fail(Kind::invalid, "{}: readonly must be true while mount image: {}", kImageVolumeMountFailed, path);
  }
  const auto& name = mount.image().image();
  if (name.empty()) {
    return fail(Kind::invalid, "{}: image not specified in: {}", kImageVolumeMountFailed, path);
  }
  auto image = images.acquire(name, user);
  if (!image && image.error().kind() == Kind::not_found) {
    return fail(Kind::not_found, "{}: failed to resolve image \"{}\": not found", kImageVolumeMountFailed, name);
  }
  return std::move(image).context("{}", kImageVolumeMountFailed);
}

}  // namespace

Result<std::map<int, ImageVolume>> acquire_image_volumes(ImageSource& images, const v1::ContainerConfig& config,
                                                         const std::string& container_id,
                                                         const std::string& container_dir) {
  std::map<int, ImageVolume> volumes;
  const auto folder = container_dir + "/image-volumes";
  for (int i = 0; i < config.mounts_size(); ++i) {
    if (!config.mounts(i).has_image()) {
      continue;
    }
    KEELSON_TRY(auto image, acquire(images, config.mounts(i), container_id));
    auto& volume = volumes[i];
    volume = {.id = image.id, .folder = fmt::format("{}/{}", folder, i), .layers = std::move(image.layers)};
    volume.layers.push_back(folder + "/empty");
    KEELSON_DO(make_directories(volume.folder, 0755));
    KEELSON_DO(make_directories(volume.layers.back(), 0755));
  }
  return volumes;
}

Result<> hold_image_volumes(ImageSource& images, const ContainerRecord& record) {
  std::vector<std::string> absent;
  for (const auto& mount : record.config().mounts()) {
    if (mount.has_image() && !images.acquire(mount.image().image(), record.id())) {
      absent.push_back(mount.image().image());
    }
  }
  if (!absent.empty()) {
    return fail(Kind::not_found, "images of volumes that are not here any more: {}", fmt::join(absent, ", "));
  }
  return {};
}

void name_image_volumes(const std::map<int, ImageVolume>& volumes, ContainerRecord& record) {
  for (const auto& [number, volume] : volumes) {
    record.mutable_config()->mutable_mounts(number)->mutable_image()->set_image(volume.id);
  }
}

}  // namespace keelson::cri
