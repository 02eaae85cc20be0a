// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/kubelet_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keelson::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kHead = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

// As kubeadm 1.34 writes it.
constexpr const char* kKubeadm = R"(apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 0s
    cacheUnauthorizedTTL: 0s
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cpuManagerReconcilePeriod: 0s
crashLoopBackOff: {}
evictionPressureTransitionPeriod: 0s
fileCheckFrequency: 0s
healthzBindAddress: 127.0.0.1
healthzPort: 10248
httpCheckFrequency: 0s
imageMaximumGCAge: 0s
imageMinimumGCAge: 0s
kind: KubeletConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
memorySwap: {}
nodeStatusReportFrequency: 0s
nodeStatusUpdateFrequency: 0s
rotateCertificates: true
runtimeRequestTimeout: 0s
shutdownGracePeriod: 0s
shutdownGracePeriodCriticalPods: 0s
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 0s
syncFrequency: 0s
volumeStatsAggPeriod: 0s
)";

NodeConfig parsed(const std::string& text) {
  auto config = parse_kubelet_config(text, "f.yaml", {});
  EXPECT_TRUE(config) << config.error().message();
  return config ? *config : NodeConfig();
}

std::string refused(const std::string& text) {
  auto config = parse_kubelet_config(std::string(kHead) + text, "f.yaml", {});
  return config ? "accepted" : config.error().message();
}

TEST(KubeletConfig, ThatOfKubeadmIsTakenAsItIs) {
  const auto config = parsed(kKubeadm);
  EXPECT_EQ(config.cgroup_driver, "systemd");
  EXPECT_THAT(config.cluster_dns, ElementsAre("10.96.0.10"));
  EXPECT_EQ(config.cri_socket, "/run/containerd/containerd.sock");
  EXPECT_EQ(config.manifest_dir, "/etc/kubernetes/manifests");
  EXPECT_EQ(config.node_status_update_frequency, "10s");
  EXPECT_EQ(config.node_status_report_frequency, "5m");
  EXPECT_EQ(config.eviction_pressure_transition_period, "5m") << "0s is the default";
  EXPECT_TRUE(config.rotate_certificates);
  EXPECT_TRUE(check_config(config));
}

TEST(KubeletConfig, WhatMeansSomethingIsApplied) {
  const auto config =
      parsed(std::string(kHead) +
             "registerNode: false\nproviderID: x://1\nmaxPods: 250\npodsPerCore: 10\n"
             "registerWithTaints: [{key: a, value: b, effect: NoSchedule}, {key: c, effect: NoExecute}]\n"
             "systemReserved: {cpu: 500m, memory: 1Gi}\nkubeReserved: {memory: 512Mi}\n"
             "reservedSystemCPUs: 0-1\nevictionPressureTransitionPeriod: 1m0s\n"
             "nodeLeaseDurationSeconds: 20\nnodeStatusMaxImages: 0\nnodeStatusUpdateFrequency: 20s\n");
  EXPECT_THAT(config.notes, IsEmpty());
  EXPECT_FALSE(config.register_node);
  EXPECT_EQ(config.provider_id, "x://1");
  EXPECT_EQ(config.max_pods, "250");
  EXPECT_EQ(config.pods_per_core, "10");
  EXPECT_THAT(config.register_with_taints, ElementsAre("a=b:NoSchedule", "c:NoExecute"));
  EXPECT_THAT(config.system_reserved, ElementsAre("cpu=500m", "memory=1Gi"));
  EXPECT_THAT(config.kube_reserved, ElementsAre("memory=512Mi"));
  EXPECT_EQ(config.reserved_system_cpus, "0-1");
  EXPECT_EQ(config.eviction_pressure_transition_period, "1m0s");
  EXPECT_EQ(config.node_lease_duration_seconds, "20");
  EXPECT_EQ(config.node_status_max_images, "0");
  EXPECT_EQ(config.node_status_update_frequency, "20s");
  EXPECT_EQ(config.node_status_report_frequency, "20s") << "the kubelet's default beside the other";
}

TEST(KubeletConfig, EvictionThresholdsReplaceTheDefaultsOrNot) {
  EXPECT_THAT(parsed(std::string(kHead) + "evictionHard: {memory.available: 1Gi}\n").eviction_hard,
              ElementsAre("memory.available<1Gi"));
  EXPECT_THAT(parsed(std::string(kHead) +
                     "evictionHard: {memory.available: 1Gi, pid.available: 5%}\nmergeDefaultEvictionSettings: true\n")
                  .eviction_hard,
              ElementsAre("nodefs.available<10%", "nodefs.inodesFree<5%", "imagefs.available<15%",
                          "imagefs.inodesFree<5%", "memory.available<1Gi", "pid.available<5%"));
}

TEST(KubeletConfig, EvictionsAndImagesAreAsTheFileSays) {
  const auto config =
      parsed(std::string(kHead) +
             "evictionSoft: {memory.available: 1Gi}\nevictionSoftGracePeriod: {memory.available: 1m30s}\n"
             "evictionMinimumReclaim: {nodefs.available: 5%}\nevictionMaxPodGracePeriod: 20\n"
             "imageGCHighThresholdPercent: 70\nimageGCLowThresholdPercent: 0\nimageMinimumGCAge: 0s\n"
             "imageMaximumGCAge: 24h\n");
  EXPECT_THAT(config.notes, IsEmpty());
  EXPECT_THAT(config.eviction_soft, ElementsAre("memory.available<1Gi"));
  EXPECT_THAT(config.eviction_soft_grace_period, ElementsAre("memory.available=1m30s"));
  EXPECT_THAT(config.eviction_minimum_reclaim, ElementsAre("nodefs.available=5%"));
  EXPECT_EQ(config.eviction_max_pod_grace_period, "20");
  EXPECT_EQ(config.image_gc_high_threshold + " " + config.image_gc_low_threshold, "70 0");
  EXPECT_EQ(config.image_minimum_gc_age, "2m") << "0s is the default";
  EXPECT_EQ(config.image_maximum_gc_age, "24h");
}

TEST(KubeletConfig, AShutdownWaitsAsTheFileSays) {
  const auto config = parsed(std::string(kHead) +
                             "shutdownGracePeriod: 30s\nshutdownGracePeriodCriticalPods: 10s\n"
                             "shutdownGracePeriodByPodPriority: [{priority: 1000, shutdownGracePeriodSeconds: 20}]\n");
  EXPECT_THAT(config.notes, IsEmpty());
  EXPECT_EQ(config.shutdown_grace_period + " " + config.shutdown_grace_period_critical_pods, "30s 10s");
  EXPECT_THAT(config.shutdown_grace_period_by_pod_priority, ElementsAre("1000=20s"));
}

TEST(KubeletConfig, WhatDoesNotApplyIsTold) {
  EXPECT_THAT(parsed(std::string(kHead) + "cpuManagerPolicy: static\nfailSwapOn: false\noomScoreAdj: -999\n"
                                          "cpuCFSQuota: false\nfeatureGates: {Some: true}\npodPidsLimit: 100\n"
                                          "enableControllerAttachDetach: true\n")
                  .notes,
              ElementsAre("f.yaml: cpuManagerPolicy: static is not applied: CPUs, memory and devices are not pinned",
                          "f.yaml: cpuCFSQuota: false is not applied: limits of CPU are enforced",
                          HasSubstr("featureGates: ... is not applied"), HasSubstr("podPidsLimit: 100")));
}

TEST(KubeletConfig, WrongFieldsAreNamedWithTheirLines) {
  EXPECT_EQ(
      refused("maxpods: 1\nauthentication: {webhook: {enable: true}}\nevictionHard: [a]\nnodeLeaseDurationSeconds: x\n"
              "registerWithTaints: a\n"),
      "f.yaml:3: maxpods: unknown key; did you mean maxPods?\n"
      "f.yaml:4: authentication.webhook.enable: unknown key; did you mean enabled?\n"
      "f.yaml:5: evictionHard: expected names with strings\n"
      "f.yaml:6: nodeLeaseDurationSeconds: expected a whole number\n"
      "f.yaml:7: registerWithTaints: expected a list of objects");
  EXPECT_EQ(parse_kubelet_config("kind: Pod\n", "f.yaml", {}).error().message(),
            "f.yaml:1: expected apiVersion: kubelet.config.k8s.io/v1beta1 and kind: KubeletConfiguration");
}

}  // namespace
}  // namespace keelson::cli
