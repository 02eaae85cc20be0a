// SPDX-License-Identifier: Apache-2.0
// Images through the socket: from a docker archive to a running container, with the real store.
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "cri/proto/keelson.grpc.pb.h"
#include "cri/runtime_fixture.h"

namespace keelson::cri {
namespace {

class ImageServiceFixture : public RuntimeFixture {
 protected:
  void start() override {
    auto server = Server::start(options_);
    ASSERT_TRUE(server) << server.error().message();
    server_ = std::move(*server);
    channel_ = grpc::CreateChannel("unix://" + options_.socket, grpc::InsecureChannelCredentials());
    stub_ = v1::RuntimeService::NewStub(channel_);
    image_stub_ = v1::ImageService::NewStub(channel_);
  }
  /// What `docker save` of a busybox writes.
  std::string make_archive() {
    const auto dir = dir_ + "/archive";
    fs::create_directories(dir);
    EXPECT_EQ(std::system(fmt::format("tar -C {}/layer -cf {}/layer.tar . && sha256sum {}/layer.tar > {}/sum", dir_,
                                      dir, dir, dir)
                              .c_str()),
              0);
    const auto digest = read_file(dir + "/sum").value_or("").substr(0, 64);
    std::ofstream(dir + "/config.json") << fmt::format(
        R"({{"architecture":"amd64","os":"linux","config":{{"Cmd":["sleep","1000"],"Env":["PATH=/bin"],"User":"0"}},"rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}})",
        digest);
    std::ofstream(dir + "/manifest.json")
        << R"([{"Config":"config.json","RepoTags":["example.test/box:1"],"Layers":["layer.tar"]}])";
    EXPECT_EQ(
        std::system(fmt::format("tar -C {} -cf {}/box.tar config.json manifest.json layer.tar", dir, dir_).c_str()), 0);
    return dir_ + "/box.tar";
  }
  v1::ListImagesResponse list() {
    grpc::ClientContext context;
    v1::ListImagesResponse response;
    EXPECT_TRUE(image_stub_->ListImages(&context, {}, &response).ok());
    return response;
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ImageService::Stub> image_stub_;
};

TEST_F(ImageServiceFixture, LoadRunRemove) {
  ::keelson::runtime::v1::LoadRequest load;
  load.set_path(make_archive());
  ::keelson::runtime::v1::LoadResponse loaded;
  grpc::ClientContext load_context;
  const auto status = ::keelson::runtime::v1::ImageTransfer::NewStub(channel_)->Load(&load_context, load, &loaded);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(loaded.image_refs(), testing::ElementsAre("example.test/box:1"));
  ASSERT_EQ(list().images_size(), 1);

  const auto sandbox = run_sandbox(sandbox_config("image"));
  auto config = container_config("main", {});
  config.mutable_image()->set_image("example.test/box:1");
  const auto id = run_container(sandbox, config);
  v1::ExecSyncResponse output;
  ASSERT_TRUE(exec(id, {"id", "-u"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "0\n");
  EXPECT_EQ(status_of(id).status().image_id(), list().images(0).id());

  v1::RemoveImageRequest remove;
  remove.mutable_image()->set_image("example.test/box:1");
  v1::RemoveImageResponse removed;
  grpc::ClientContext remove_context;
  EXPECT_TRUE(image_stub_->RemoveImage(&remove_context, remove, &removed).ok());
  ASSERT_TRUE(exec(id, {"true"}, 60, &output).ok());  // a container that runs keeps its layers
  stub_.reset();
  image_stub_.reset();
  channel_.reset();
  server_.reset();
  start();
  ASSERT_TRUE(exec(id, {"ls", "/bin/busybox"}, 60, &output).ok());
  EXPECT_EQ(output.stdout(), "/bin/busybox\n");  // over a new daemon, too
  EXPECT_EQ(remove_sandbox(sandbox).error_message(), "");
  EXPECT_EQ(list().images_size(), 0);
  EXPECT_EQ(entries(options_.state_dir + "/images/layers"), 0);
}

// Whoever gets through first finds them.
TEST_F(ImageServiceFixture, ArchivesAreThereWhenTheSocketIs) {
  stub_.reset();
  image_stub_.reset();
  channel_.reset();
  server_.reset();
  options_.image_archive_dir = dir_ + "/archives";
  fs::create_directories(options_.image_archive_dir);
  std::ofstream(options_.image_archive_dir + "/a-broken.tar") << "no archive";
  fs::rename(make_archive(), options_.image_archive_dir + "/box.tar");
  int first = -1;
  std::thread client([&] {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    options_.socket.copy(address.sun_path, sizeof address.sun_path - 1);
    const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    while (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      std::this_thread::yield();
    }
    grpc::ClientContext context;
    v1::ListImagesResponse response;
    const auto stub =
        v1::ImageService::NewStub(grpc::CreateChannel("unix://" + options_.socket, grpc::InsecureChannelCredentials()));
    first = stub->ListImages(&context, {}, &response).ok() ? response.images_size() : -2;
  });
  start();
  client.join();
  EXPECT_EQ(first, 1);
}

TEST_F(ImageServiceFixture, UnknownImagesAreNoErrors) {
  v1::ImageStatusRequest request;
  request.mutable_image()->set_image("example.test/none:1");
  v1::ImageStatusResponse response;
  grpc::ClientContext status_context;
  EXPECT_TRUE(image_stub_->ImageStatus(&status_context, request, &response).ok());
  EXPECT_FALSE(response.has_image());
  v1::RemoveImageRequest remove;
  remove.mutable_image()->set_image("example.test/none:1");
  v1::RemoveImageResponse removed;
  grpc::ClientContext remove_context;
  EXPECT_TRUE(image_stub_->RemoveImage(&remove_context, remove, &removed).ok());
}

}  // namespace
}  // namespace keelson::cri
