// SPDX-License-Identifier: Apache-2.0
// What is asked of a runtime for images.
#include "agent/cri_pod_runtime.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/fake_runtime_client.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using ::testing::ElementsAre;

constexpr std::chrono::seconds kTakes{10};

/// A registry behind a runtime: who has the password "right" gets the image, after a while.
class PullingClient : public FakeRuntimeClient {
 public:
  explicit PullingClient(Loop& loop) : loop_(loop) {}
  Task<std::string> pull_image(std::string image, cri::AuthConfig auth, cri::SandboxConfig, Duration) override {
    pulls.push_back(fmt::format("{} as {}", image, auth.username));
    KEELSON_CO_DO(co_await loop_.sleep(kTakes));
    if (auth.password != "right") {
      co_return fail(Kind::permission, "{} may not", auth.username);
    }
    co_return "sha256:" + image;
  }
  Task<cri::Image> image_status(std::string, Duration) override {
    cri::Image image;
    image.size = 77;
    co_return image;
  }
  std::vector<std::string> pulls;

 private:
  Loop& loop_;
};

/// Pods have credentials by their namespaces, and handlers by their RuntimeClasses.
class SmallConfigs : public PodConfigs {
 public:
  void objects_changed(const kube::DesiredState&) override {}
  Task<> prepare(kube::Pod) override { co_return Result<>(); }
  Task<> resize(kube::Pod, Resizing) override { co_return Result<>(); }
  Task<> release(kube::Pod) override { co_return Result<>(); }
  Task<> clean_up(kube::Pod) override { co_return Result<>(); }
  Result<std::vector<std::string>> prepared() override { return std::vector<std::string>(); }
  std::set<std::string> own_cpus(const kube::Pod&) override { return {}; }
  std::vector<PodWarning> warnings(const kube::Pod&) override { return {}; }
  Result<std::string> handler(const kube::Pod& pod) override { return pod.spec.runtime_class_name.value_or(""); }
  Result<cri::SandboxConfig> sandbox(const kube::Pod&, uint32_t) override { return cri::SandboxConfig(); }
  Task<> prepare_container(kube::Pod, std::string) override { co_return Result<>(); }
  Result<cri::ContainerConfig> container(const ContainerOrder&) override { return cri::ContainerConfig(); }
  Result<cri::LinuxResources> resources(const kube::Pod&, const std::string&) override { return cri::LinuxResources(); }
  void container_created(const ContainerOrder&, const std::string&) override {}
  void container_removed(const std::string&) override {}
  std::string termination_log(const kube::ObjectMeta&, const std::string&, uint32_t) override { return ""; }
  Task<std::vector<cri::AuthConfig>> credentials(kube::Pod pod, std::string) override {
    co_return logins[pod.metadata.ns];
  }
  std::map<std::string, std::vector<cri::AuthConfig>> logins;
};

class ImagePullTest : public ::testing::Test {
 protected:
  ImagePullTest() {
    configs_.logins["shop"] = {{.username = "shop", .password = "right"}};
    configs_.logins["bank"] = {{.username = "bank", .password = "right"}};
  }
  Task<> pull(kube::Pod pod, std::string image) {
    auto pulled = co_await runtime_.pull_image(std::move(pod), std::move(image));
    answers_.push_back(pulled ? fmt::format("{} {}", pulled->ref, pulled->size) : pulled.error().message());
    co_return Result<>();
  }
  void start(const std::string& ns, const std::string& image, const std::string& runtime_class = "") {
    kube::Pod pod;
    pod.metadata.ns = ns;
    pod.spec.runtime_class_name = runtime_class;
    tasks_.spawn("pull", pull(pod, image));
    loop_.run_until_idle();
  }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  PullingClient client_{loop_};
  SmallConfigs configs_;
  PullGate gate_{loop_, {}};
  CriPodRuntime runtime_{client_, configs_, {}, &gate_};
  std::vector<std::string> answers_;
  TaskGroup tasks_{loop_};
};

TEST_F(ImagePullTest, TheSameImageWithTheSameCredentialsIsPulledOnceAtATime) {
  start("shop", "pages");
  start("shop", "pages");
  loop_.advance(clock_, kTakes);
  EXPECT_THAT(client_.pulls, ElementsAre("pages as shop"));
  EXPECT_THAT(answers_, ElementsAre("sha256:pages 77", "sha256:pages 77"));
  start("shop", "pages");
  EXPECT_EQ(client_.pulls.size(), 2U) << "asked for later, it may be another";
  loop_.advance(clock_, kTakes);
}

TEST_F(ImagePullTest, OtherCredentialsImagesAndHandlersAreOtherPulls) {
  start("shop", "pages");
  start("bank", "pages");
  start("shop", "more-pages");
  start("shop", "pages", "sandboxed");
  EXPECT_THAT(client_.pulls, ElementsAre("pages as shop", "pages as bank", "more-pages as shop", "pages as shop"));
  loop_.advance(clock_, kTakes);
  EXPECT_EQ(answers_.size(), 4U);
}

TEST_F(ImagePullTest, CredentialsAreTriedInTheirOrder) {
  configs_.logins["shop"].insert(configs_.logins["shop"].begin(), {.username = "old", .password = "wrong"});
  start("shop", "pages");
  loop_.advance(clock_, 2 * kTakes);
  EXPECT_THAT(client_.pulls, ElementsAre("pages as old", "pages as shop"));
  EXPECT_THAT(answers_, ElementsAre("sha256:pages 77"));
}

}  // namespace
}  // namespace keelson::agent
