// SPDX-License-Identifier: Apache-2.0
// Volumes that are images (KEP-4639), from a registry to the files that a container reads.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/cluster_images.h"
#include "tests/support/node_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ImageVolumeTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (!IsSkipped()) {
      make_images(home() + "/images");
      start_node();
    }
  }
  /// A pod that has the image at /pages, and a folder of it at /part.
  static std::string reader(const std::string& image, const std::string& command) {
    return fmt::format(R"(apiVersion: v1
kind: Pod
metadata: {{name: reader}}
spec:
  terminationGracePeriodSeconds: 2
  volumes: [{{name: pages, image: {{reference: {}}}}}]
  containers:
  - name: main
    image: keelson.example/busybox:1
    command: ["sh", "-c", "{}; trap 'exit 0' TERM; while :; do sleep 1; done"]
    volumeMounts: [{{name: pages, mountPath: /pages}}, {{name: pages, mountPath: /part, subPath: etc}}]
)",
                       image, command);
  }
  std::string events() { return keelson({"events", "--for", "pod/reader"}).out; }
};

TEST_F(ImageVolumeTest, ItIsPulledMountedToBeReadAndThereAfterARestart) {
  MirrorRegistry registry(home() + "/registry", {"pages.example/site/pages:1"});
  apply(
      "reader.yaml",
      reader("pages.example/site/pages:1",
             "exec 2>/dev/null; cat /part/group; echo x > /part/group || echo refused; /pages/server || echo not run"));
  wait_ready("reader");
  const std::string said = "root:x:0:\nrefused\nnot run\n";
  wait_until("it has read", [&] { return keelson({"logs", "reader"}).out.find("not run") != std::string::npos; });
  const auto lines = keelson({"logs", "reader"}).out;
  EXPECT_EQ(lines.substr(0, said.size()), said) << lines;
  EXPECT_THAT(keelson({"exec", "reader", "--", "cat", "/proc/self/mounts"}).out,
              HasSubstr(" /pages overlay ro,nosuid,nodev,noexec,"));
  EXPECT_THAT(events(), HasSubstr("Successfully pulled image \"pages.example/site/pages:1\""));

  ASSERT_EQ(run({"kill", "-9", process_of("reader", "main")}).code, 0);
  wait_until("it has been restarted", [&] { return restarts("reader") == 1; });
  wait_ready("reader");
  EXPECT_EQ(keelson({"exec", "reader", "--", "cat", "/part/group"}).out, "root:x:0:\n");
}

TEST_F(ImageVolumeTest, OneThatCannotBePulledOrHasNoSuchFolderIsTold) {
  MirrorRegistry registry(home() + "/registry", {"pages.example/site/pages:1"});
  apply("reader.yaml", reader("pages.example/site/absent:1", "true"));
  wait_until("the pull is told", [&] { return events().find("Error: ErrImagePull") != std::string::npos; });
  EXPECT_THAT(events(), HasSubstr("Failed to pull image \"pages.example/site/absent:1\""));
  wait_until("it backs off",
             [&] { return keelson({"get", "pods"}).out.find("ImagePullBackOff") != std::string::npos; });
  remove("reader.yaml");
  wait_gone("reader");

  auto manifest = reader("pages.example/site/pages:1", "true");
  manifest.replace(manifest.find("subPath: etc"), 12, "subPath: srv");
  apply("reader.yaml", manifest);
  wait_until("it is told", [&] {
    return events().find("Error: ImageVolumeMountFailed: sub path \"srv\" does not exist in the image") !=
           std::string::npos;
  });
}

}  // namespace
}  // namespace keelson::testing
