// SPDX-License-Identifier: Apache-2.0
// The image RPCs.
#include "cri/image_service.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "cri/image/load.h"
#include "cri/image/pull.h"
#include "cri/runtime/parts.h"
#include "cri/status.h"

namespace keelson::cri {

namespace {

v1::Image as_cri(const image::StoredImage& stored) {
  v1::Image item;
  item.set_id(stored.id);
  item.mutable_repo_tags()->Assign(stored.tags.begin(), stored.tags.end());
  item.mutable_repo_digests()->Assign(stored.digests.begin(), stored.digests.end());
  item.set_size(stored.size);
  item.mutable_spec()->set_image(stored.id);
  // "user", "uid", each with ":group": CRI wants the user's number, or else the name.
  const auto user = stored.config.user.substr(0, stored.config.user.find(':'));
  int64_t uid = 0;
  const auto [end, error] = std::from_chars(user.data(), user.data() + user.size(), uid);
  if (!user.empty() && error == std::errc() && end == user.data() + user.size()) {
    item.mutable_uid()->set_value(uid);
  } else if (user.empty()) {
    item.mutable_uid()->set_value(0);
  } else {
    item.set_username(user);
  }
  return item;
}

}  // namespace

grpc::Status ImageService::ListImages(grpc::ServerContext*, const v1::ListImagesRequest* request,
                                      v1::ListImagesResponse* response) {
  const auto& wanted = request->filter().image().image();
  if (!wanted.empty()) {
    if (const auto found = store_.find(wanted)) {
      *response->add_images() = as_cri(*found);
    }
    return grpc::Status::OK;
  }
  for (const auto& stored : store_.list()) {
    *response->add_images() = as_cri(stored);
  }
  return grpc::Status::OK;
}

grpc::Status ImageService::ImageStatus(grpc::ServerContext*, const v1::ImageStatusRequest* request,
                                       v1::ImageStatusResponse* response) {
  const auto found = store_.find(request->image().image());
  if (found) {
    *response->mutable_image() = as_cri(*found);
    return grpc::Status::OK;
  }
  return found.error().kind() == Kind::not_found ? grpc::Status::OK : to_status(found);
}

grpc::Status ImageService::PullImage(grpc::ServerContext* context, const v1::PullImageRequest* request,
                                     v1::PullImageResponse* response) {
  const auto& auth = request->auth();
  image::PullOptions options{.config_dir = registry_config_dir_};
  // The caller's deadline is far away if it has none.
  const auto left = context->deadline() - std::chrono::system_clock::now();
  options.deadline = std::min(options.deadline, std::chrono::duration_cast<std::chrono::milliseconds>(left));
  const auto pulled = image::pull_image(store_, request->image().image(),
                                        {.username = auth.username(),
                                         .password = auth.password(),
                                         .auth = auth.auth(),
                                         .identity_token = auth.identity_token(),
                                         .registry_token = auth.registry_token()},
                                        options);
  if (pulled) {
    response->set_image_ref(pulled->id);
  }
  return to_status(pulled);
}

grpc::Status ImageService::RemoveImage(grpc::ServerContext*, const v1::RemoveImageRequest* request,
                                       v1::RemoveImageResponse*) {
  return to_status(store_.remove(request->image().image()));
}

grpc::Status ImageService::ImageFsInfo(grpc::ServerContext*, const v1::ImageFsInfoRequest*,
                                       v1::ImageFsInfoResponse* response) {
  const auto usage = store_.usage();
  auto* filesystem = response->add_image_filesystems();
  filesystem->set_timestamp(now_ns());
  filesystem->mutable_fs_id()->set_mountpoint(store_.root());
  filesystem->mutable_used_bytes()->set_value(usage.bytes);
  filesystem->mutable_inodes_used()->set_value(usage.inodes);
  return grpc::Status::OK;
}

grpc::Status ImageTransfer::Load(grpc::ServerContext*, const ::keelson::runtime::v1::LoadRequest* request,
                                 ::keelson::runtime::v1::LoadResponse* response) {
  const auto names = image::load_images(store_, request->path()).context("load {}", request->path());
  if (names) {
    response->mutable_image_refs()->Assign(names->begin(), names->end());
  }
  return to_status(names);
}

}  // namespace keelson::cri
