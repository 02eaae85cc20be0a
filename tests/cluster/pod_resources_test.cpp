// SPDX-License-Identifier: Apache-2.0
// What a monitor of devices and CPUs sees of a node's pods.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include "agent/pod_resources/proto/podresources.grpc.pb.h"
#include "tests/support/member_pods.h"

namespace keelson::testing {
namespace {

using ::testing::HasSubstr;

class PodResourcesTest : public MemberPodsTest {
 protected:
  std::unique_ptr<v1::PodResourcesLister::Stub> monitor() const {
    return v1::PodResourcesLister::NewStub(
        grpc::CreateChannel("unix:" + home() + "/root/pod-resources/kubelet.sock", grpc::InsecureChannelCredentials()));
  }
};

TEST_F(PodResourcesTest, AMonitorSeesThePodsThatRun) {
  join({"--client-ca-file", control_plane_->authority_file()});
  wait_node_ready();
  create_pod("web", kRuns);
  create_pod("once", "exit 0", "", "  restartPolicy: Never\n");
  expect_ready("web");
  expect_soon("once", "phase", "Succeeded");

  const auto stub = monitor();
  v1::ListPodResourcesResponse all;
  {
    grpc::ClientContext context;
    const auto listed = stub->List(&context, {}, &all);
    ASSERT_TRUE(listed.ok()) << listed.error_message();
  }
  ASSERT_EQ(all.pod_resources_size(), 1) << "what has ended has nothing";
  EXPECT_EQ(all.pod_resources(0).namespace_(), "default");
  EXPECT_EQ(all.pod_resources(0).name(), "web");
  ASSERT_EQ(all.pod_resources(0).containers_size(), 1);
  EXPECT_EQ(all.pod_resources(0).containers(0).name(), "main");
  EXPECT_EQ(all.pod_resources(0).containers(0).cpu_ids_size(), 0) << "it asked for no CPU of its own";

  const auto get = [&](const std::string& name) {
    grpc::ClientContext context;
    v1::GetPodResourcesRequest request;
    request.set_pod_namespace("default");
    request.set_pod_name(name);
    v1::GetPodResourcesResponse answer;
    const auto got = stub->Get(&context, request, &answer);
    return got.ok() ? answer.pod_resources().name() : got.error_message();
  };
  EXPECT_EQ(get("once"), "once");
  EXPECT_EQ(get("nobody"), "pod nobody in namespace default not found");

  const auto metrics = kubectl({"get", "--raw", std::string("/api/v1/nodes/") + kNode + "/proxy/metrics"}).out;
  for (const char* line : {"requests_total{server_api_version=\"v1\"} 3", "requests_list{server_api_version=\"v1\"} 1",
                           "requests_get{server_api_version=\"v1\"} 2", "errors_get{server_api_version=\"v1\"} 1"}) {
    EXPECT_THAT(metrics, HasSubstr(std::string("kubelet_pod_resources_endpoint_") + line));
  }
}

}  // namespace
}  // namespace keelson::testing
