// SPDX-License-Identifier: Apache-2.0
// What pods are given of the API: ConfigMaps and Secrets, tokens, their own fields.
#include <gmock/gmock.h>

#include "tests/support/pods_fixture.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST_F(PodsTest, ObjectsAreWaitedForAndTheirUpdatesReachTheVolume) {
  create_pod("reads", "while true; do sleep 1; done",
             R"(    env: [{name: KEY, valueFrom: {secretKeyRef: {name: late, key: key}}}]
    volumeMounts: [{name: settings, mountPath: /settings}]
)",
             "  volumes: [{name: settings, configMap: {name: settings}}]\n");
  ASSERT_TRUE(control_plane_->has_event(
      "reads", "MountVolume.SetUp failed for volume \"settings\" : configmap \"settings\" not found"));
  expect_soon("reads", ".status.containerStatuses[0].state.waiting.reason", "ContainerCreating");
  create("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {color: blue}\n");
  expect_soon("reads", ".status.containerStatuses[0].state.waiting.reason", "CreateContainerConfigError");
  create("apiVersion: v1\nkind: Secret\nmetadata: {name: late}\nstringData: {key: canary-of-the-secret}\n");
  expect_ready("reads", 10s);
  EXPECT_EQ(in_pod("reads", {"cat", "/settings/color"}), "blue");
  EXPECT_EQ(in_pod("reads", {"sh", "-c", "echo $KEY"}), "canary-of-the-secret\n");
  EXPECT_THAT(in_pod("reads", {"env"}), HasSubstr("KUBERNETES_SERVICE_HOST=10.96.0.1"));
  ASSERT_EQ(kubectl({"patch", "configmap", "settings", "-p", R"({"data":{"color":"red"}})"}).code, 0);
  wait_until("the update is there", [this] { return in_pod("reads", {"cat", "/settings/color"}) == "red"; }, 10s);
  EXPECT_EQ(restarts("reads"), 0);
  EXPECT_EQ(whole_log().find("canary"), std::string::npos);
  kubectl({"delete", "configmap/settings", "secret/late"});
}

TEST_F(PodsTest, TheTokenOfItsServiceAccount) {
  create("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: app}\n");
  create("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-root-ca.crt}\ndata: {ca.crt: the authority}\n");
  create_pod(
      "user", "while true; do sleep 1; done",
      "    volumeMounts: [{name: api, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}]\n",
      R"(  serviceAccountName: app
  volumes:
  - name: api
    projected:
      sources:
      - serviceAccountToken: {expirationSeconds: 3607, path: token}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
)");
  expect_ready("user");
  const std::string folder = "/var/run/secrets/kubernetes.io/serviceaccount/";
  EXPECT_EQ(in_pod("user", {"cat", folder + "ca.crt"}), "the authority");
  EXPECT_EQ(in_pod("user", {"cat", folder + "namespace"}), "default");
  const auto token = in_pod("user", {"cat", folder + "token"});
  ASSERT_FALSE(token.empty());
  const auto review =
      run({"curl", "-sk", "-m", "60", "-H", "Authorization: Bearer " + token, "-H", "Content-Type: application/json",
           "-d", R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})",
           std::string(kApiServer) + "/apis/authentication.k8s.io/v1/selfsubjectreviews"})
          .out;
  EXPECT_THAT(review, HasSubstr("system:serviceaccount:default:app"));
  EXPECT_THAT(review, HasSubstr(field("user", ".metadata.uid"))) << "bound to the pod";
  EXPECT_EQ(whole_log().find(token), std::string::npos);
  kubectl({"delete", "configmap/kube-root-ca.crt"});
}

TEST_F(PodsTest, LabelsReachTheDownwardApi) {
  create_pod(
      "named", "sleep 1000", "    volumeMounts: [{name: about, mountPath: /about}]\n",
      "  volumes: [{name: about, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}]\n");
  expect_ready("named");
  EXPECT_EQ(in_pod("named", {"cat", "/about/labels"}), "app=\"named\"");
  ASSERT_EQ(kubectl({"label", "pod", "named", "tier=front"}).code, 0);
  wait_until(
      "the label is there",
      [this] { return in_pod("named", {"cat", "/about/labels"}).find("tier=\"front\"") != std::string::npos; }, 10s);
}

}  // namespace
}  // namespace keelson::testing
