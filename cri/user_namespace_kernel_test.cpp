// SPDX-License-Identifier: Apache-2.0
// Pods with a user namespace of their own, asked for over CRI.
#include <gmock/gmock.h>

#include "cri/runtime_fixture.h"
#include "cri/shim/user_namespace.h"

namespace keelson::cri {
namespace {

using testing::HasSubstr;

class UserNamespaceRuntime : public RuntimeFixture {
 protected:
  static constexpr uint32_t kFirstId = 3'000'000'000;  // more than an int32 holds, as the API's fields are checked

  void SetUp() override {
    RuntimeFixture::SetUp();
    if (IsSkipped()) {
      return;
    }
    if (const auto here = shim::try_user_namespace(dir_); !here) {
      GTEST_SKIP() << "SKIP: needs user namespaces and idmapped mounts: " << here.error().message();
    }
  }

  static void map(v1::IDMapping* mapping) {
    mapping->set_container_id(0);
    mapping->set_host_id(kFirstId);
    mapping->set_length(65536);
  }
  v1::PodSandboxConfig mapped_config(const std::string& name) const {
    auto config = sandbox_config(name);
    auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
    options->set_network(v1::POD);
    options->mutable_userns_options()->set_mode(v1::POD);
    map(options->mutable_userns_options()->add_uids());
    map(options->mutable_userns_options()->add_gids());
    return config;
  }
  static v1::NamespaceOption& options_of(v1::PodSandboxConfig& config) {
    return *config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  }
  grpc::Status refused(const v1::PodSandboxConfig& config) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = config;
    v1::RunPodSandboxResponse response;
    return call(&v1::RuntimeService::Stub::RunPodSandbox, request, response);
  }
};

TEST_F(UserNamespaceRuntime, AWholePod) {
  fs::create_directories(dir_ + "/volume");
  const auto sandbox = run_sandbox(mapped_config("mapped"));
  auto config = container_config(
      "main", {"sh", "-c",
               "cat /proc/self/uid_map; cat /etc/hostname; touch /volume/file /dev/shm/file; echo ready; sleep 1000"});
  config.mutable_linux()->mutable_security_context()->add_supplemental_groups(3000);
  auto* mount = config.add_mounts();
  mount->set_host_path(dir_ + "/volume");
  mount->set_container_path("/volume");
  map(mount->add_uidmappings());
  map(mount->add_gidmappings());
  std::string id;
  const auto created = create(sandbox, config, &id);
  ASSERT_TRUE(created.ok()) << created.error_message();
  ASSERT_TRUE(start_container(id).ok());
  wait_until("it is ready", [&] { return log_of("mapped", "main").find("ready") != std::string::npos; });
  EXPECT_THAT(log_of("mapped", "main"), HasSubstr("         0 3000000000      65536\n"));
  EXPECT_THAT(log_of("mapped", "main"), HasSubstr("F mapped\n"));
  struct stat info{};
  ASSERT_EQ(::stat((dir_ + "/volume/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0U);
  const auto user = status_of(id).status().user().linux();
  EXPECT_EQ(user.uid(), 0);
  EXPECT_EQ(user.gid(), 0);
  EXPECT_THAT(user.supplemental_groups(), testing::Contains(3000));

  restart();
  v1::ExecSyncRequest request;
  request.set_container_id(id);
  for (const char* word : {"sh", "-c", "id -u; cat /proc/self/gid_map; echo $$ > /volume/by-exec"}) {
    request.add_cmd(word);
  }
  v1::ExecSyncResponse response;
  ASSERT_TRUE(call(&v1::RuntimeService::Stub::ExecSync, request, response).ok());
  EXPECT_EQ(response.stdout(), "0\n         0 3000000000      65536\n");
  EXPECT_EQ(response.exit_code(), 0);
  EXPECT_TRUE(stop_sandbox(sandbox).ok());
  EXPECT_TRUE(remove_sandbox(sandbox).ok());
}

TEST_F(UserNamespaceRuntime, MistakesNameTheirField) {
  auto config = mapped_config("wrong");
  map(options_of(config).mutable_userns_options()->add_uids());
  EXPECT_THAT(refused(config).error_message(), HasSubstr("userns_options: uids: 2 mappings; there has to be one"));
  config = mapped_config("wrong");
  options_of(config).mutable_userns_options()->mutable_gids(0)->set_container_id(1);
  EXPECT_THAT(refused(config).error_message(), HasSubstr("userns_options: gids: container_id 1: id 0 is not mapped"));
  config = mapped_config("wrong");
  options_of(config).mutable_userns_options()->mutable_uids(0)->set_length(0);
  EXPECT_THAT(refused(config).error_message(), HasSubstr("uids: host_id 3000000000, length 0: no range of ids"));
  config = mapped_config("wrong");
  options_of(config).set_network(v1::NODE);
  EXPECT_EQ(refused(config).error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  const auto sandbox = run_sandbox(mapped_config("right"));
  auto container = container_config("main", {"true"});
  auto* options = container.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  options->mutable_userns_options()->set_mode(v1::NODE);
  std::string id;
  EXPECT_THAT(create(sandbox, container, &id).error_message(), HasSubstr("userns_options: not those of the sandbox"));
  options->clear_userns_options();
  auto* mount = container.add_mounts();
  mount->set_host_path(dir_);
  mount->set_container_path("/volume");
  map(mount->add_uidmappings());
  EXPECT_THAT(create(sandbox, container, &id).error_message(),
              HasSubstr("mounts[0]: /volume: uidMappings, gidMappings: not those of the sandbox' user namespace"));
  EXPECT_TRUE(stop_sandbox(sandbox).ok());
  EXPECT_TRUE(remove_sandbox(sandbox).ok());
}

}  // namespace
}  // namespace keelson::cri
