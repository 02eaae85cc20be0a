// SPDX-License-Identifier: Apache-2.0
// Server::start: the image store, then the server on it.
#include "cri/server.h"

#include <filesystem>
#include <set>

#include "common/fd.h"
#include "common/log.h"
#include "cri/grpc_server.h"
#include "cri/image/load.h"
#include "cri/image/store.h"
#include "cri/image_service.h"

namespace keelson::cri {

namespace {

// The image store as containers see it.
class StoreImages final : public ImageSource {
 public:
  explicit StoreImages(image::ImageStore& store) : store_(store) {}
  Result<RootImage> acquire(const std::string& image, const std::string& user) override {
    KEELSON_TRY(const auto stored, store_.hold(image, user));
    const auto& config = stored.config;
    return RootImage{.id = stored.id,
                     .reference = stored.digests.empty() ? stored.id : stored.digests.front(),
                     .layers = store_.layer_dirs(stored),
                     .defaults = {.entrypoint = config.entrypoint,
                                  .command = config.command,
                                  .env = config.env,
                                  .working_dir = config.working_dir,
                                  .user = config.user},
                     .stop_signal = config.stop_signal};
  }
  void release(const std::string& user) override { store_.release(user); }
  void remove_unused() override { store_.remove_unused(); }

 private:
  image::ImageStore& store_;
};

class RuntimeServer final : public Server {
 public:
  RuntimeServer(std::unique_ptr<image::ImageStore> store, const RuntimeOptions& options)
      : store_(std::move(store)),
        images_(*store_),
        service_(*store_, options.registry_config_dir),
        transfer_(*store_) {}
  ~RuntimeServer() override { stop(); }

  Result<> serve(RuntimeOptions options) {
    const auto load = [this, folder = options.image_archive_dir] { load_archives(folder); };
    KEELSON_TRY(server_, start_server(std::move(options), images_, {&service_, &transfer_}, load));
    return {};
  }
  void stop() override {
    if (server_) {
      server_->stop();
    }
  }

 private:
  void load_archives(const std::string& folder) {
    std::set<std::string> archives;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
      if (entry.path().extension() == ".tar") {
        archives.insert(entry.path());
      }
    }
    for (const auto& archive : archives) {
      if (const auto loaded = image::load_images(*store_, archive); !loaded) {
        log::warning("image archive {}: {}", archive, loaded.error().message());
      }
    }
  }

  const std::unique_ptr<image::ImageStore> store_;
  StoreImages images_;
  ImageService service_;
  ImageTransfer transfer_;
  std::unique_ptr<Server> server_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(RuntimeOptions options) {
  KEELSON_DO(make_directories(options.state_dir, 0711));
  KEELSON_TRY(auto store, image::ImageStore::open({.root = options.state_dir + "/images", .limits = {}}));
  auto server = std::make_unique<RuntimeServer>(std::move(store), options);
  KEELSON_DO(server->serve(std::move(options)));
  return server;
}

}  // namespace keelson::cri
