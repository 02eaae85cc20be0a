// SPDX-License-Identifier: Apache-2.0
// Volumes that are images, as a real API server stores them and kubectl shows them.
#include <fmt/format.h>

#include "tests/support/member_pods.h"

namespace keelson::testing {
namespace {

class ImageVolumesOfTheApi : public MemberPodsTest {};

TEST_F(ImageVolumesOfTheApi, APodReadsOneAndWaitsForAnother) {
  MirrorRegistry registry(home() + "/registry", {"pages.example/site/pages:1"});
  join();
  wait_node_ready();
  create_pod("reader", fmt::format("grep -q root /pages/etc/passwd && {}", kRuns),
             "    volumeMounts: [{name: pages, mountPath: /pages}]\n",
             "  volumes: [{name: pages, image: {reference: \"pages.example/site/pages:1\"}}]\n");
  expect_ready("reader");
  EXPECT_EQ(kubectl({"get", "pod", "reader", "-o", "jsonpath={.spec.volumes[0].image.pullPolicy}"}).out, "IfNotPresent")
      << "the API server has the feature";
  EXPECT_TRUE(has_event("reader", "Normal Pulled Successfully pulled image \"pages.example/site/pages:1\""));

  create_pod("waiting", kRuns, "    volumeMounts: [{name: pages, mountPath: /pages}]\n",
             "  volumes: [{name: pages, image: {reference: \"pages.example/site/pages:2\", pullPolicy: Never}}]\n");
  expect_soon("waiting", "containerStatuses[0].state.waiting.reason", "ErrImageNeverPull");
  EXPECT_EQ(field("waiting", "containerStatuses[0].state.waiting.message"),
            "Container image \"pages.example/site/pages:2\" is not present with pull policy of Never");
}

}  // namespace
}  // namespace keelson::testing
