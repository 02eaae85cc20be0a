// SPDX-License-Identifier: Apache-2.0
// ImageService of CRI, and our own ImageTransfer, over the image store.
#pragma once

#include "cri/image/store.h"
#include "cri/proto/api.grpc.pb.h"
#include "cri/proto/keelson.grpc.pb.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

/// Called by gRPC's threads, many at once. `store` outlives it. `registry_config_dir` has hosts.toml files.
class ImageService final : public v1::ImageService::Service {
 public:
  ImageService(image::ImageStore& store, std::string registry_config_dir)
      : store_(store), registry_config_dir_(std::move(registry_config_dir)) {}

  grpc::Status ListImages(grpc::ServerContext*, const v1::ListImagesRequest*, v1::ListImagesResponse*) override;
  grpc::Status ImageStatus(grpc::ServerContext*, const v1::ImageStatusRequest*, v1::ImageStatusResponse*) override;
  grpc::Status PullImage(grpc::ServerContext*, const v1::PullImageRequest*, v1::PullImageResponse*) override;
  grpc::Status RemoveImage(grpc::ServerContext*, const v1::RemoveImageRequest*, v1::RemoveImageResponse*) override;
  grpc::Status ImageFsInfo(grpc::ServerContext*, const v1::ImageFsInfoRequest*, v1::ImageFsInfoResponse*) override;

 private:
  image::ImageStore& store_;
  std::string registry_config_dir_;
};

/// Images from files on the node (proto/keelson.proto).
class ImageTransfer final : public ::keelson::runtime::v1::ImageTransfer::Service {
 public:
  explicit ImageTransfer(image::ImageStore& store) : store_(store) {}
  grpc::Status Load(grpc::ServerContext*, const ::keelson::runtime::v1::LoadRequest*,
                    ::keelson::runtime::v1::LoadResponse*) override;

 private:
  image::ImageStore& store_;
};

}  // namespace keelson::cri
