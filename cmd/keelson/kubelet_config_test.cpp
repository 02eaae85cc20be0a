// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/kubelet_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

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

TEST(KubeletConfig, WhoRunsOnWhichCpusIsAsTheFileSays) {
  const auto config =
      parsed(std::string(kHead) +
             "cpuManagerPolicy: static\ncpuManagerPolicyOptions: {full-pcpus-only: \"true\", align-by-socket: \"1\"}\n"
             "cpuManagerReconcilePeriod: 5s\nfeatureGates: {CPUManagerPolicyAlphaOptions: true, Other: false}\n");
  EXPECT_THAT(config.notes, IsEmpty());
  EXPECT_EQ(config.cpu_manager_policy + " " + config.cpu_manager_reconcile_period, "static 5s");
  EXPECT_THAT(config.cpu_manager_policy_options, ElementsAre("align-by-socket=1", "full-pcpus-only=true"));
  EXPECT_THAT(config.feature_gates, ElementsAre("CPUManagerPolicyAlphaOptions=true", "Other=false"));
  EXPECT_EQ(parsed(kKubeadm).cpu_manager_reconcile_period, "10s") << "0s is the default";
}

TEST(KubeletConfig, EvictionThresholdsReplaceTheDefaultsOrNot) {
  EXPECT_THAT(parsed(std::string(kHead) + "evictionHard: {memory.available: 1Gi}\n").eviction_hard,
              ElementsAre("memory.available<1Gi"));
  EXPECT_THAT(parsed(std::string(kHead) + "evictionHard: {}\n").eviction_hard, IsEmpty());
  EXPECT_EQ(parsed(std::string(kHead) + "evictionHard:\n").eviction_hard, NodeConfig().eviction_hard);
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

TEST(KubeletConfig, WhatPodsGetIsAsTheFileSays) {
  const auto config = parsed(std::string(kHead) +
                             "enforceNodeAllocatable: [pods, system-reserved]\nsystemReservedCgroup: /system.slice\n"
                             "kubeReservedCgroup: /kubelet.slice\nresolvConf: /run/systemd/resolve/resolv.conf\n"
                             "podPidsLimit: 4096\nseccompDefault: true\nallowedUnsafeSysctls: ['kernel.msg*']\n");
  EXPECT_THAT(config.notes, IsEmpty());
  EXPECT_THAT(config.enforce_node_allocatable, ElementsAre("pods", "system-reserved"));
  EXPECT_EQ(config.system_reserved_cgroup + config.kube_reserved_cgroup, "/system.slice/kubelet.slice");
  EXPECT_EQ(config.resolv_conf, "/run/systemd/resolve/resolv.conf");
  EXPECT_EQ(config.pod_pids_limit, "4096");
  EXPECT_TRUE(config.seccomp_default);
  EXPECT_THAT(config.allowed_unsafe_sysctls, ElementsAre("kernel.msg*"));
  const auto none = parsed(std::string(kHead) + "enforceNodeAllocatable: []\nresolvConf: ''\n");
  EXPECT_THAT(none.enforce_node_allocatable, IsEmpty());
  EXPECT_EQ(none.resolv_conf, "");
}

TEST(KubeletConfig, LimitsAndServersAreAsTheFileSays) {
  const auto config = parsed(
      std::string(kHead) +
      "cpuCFSQuota: false\ncpuCFSQuotaPeriod: 10ms\ncrashLoopBackOff: {maxContainerRestartPeriod: 20s}\n"
      "kubeAPIQPS: 7\nkubeAPIBurst: 8\neventRecordQPS: 0\neventBurst: 9\nruntimeRequestTimeout: 1m0s\n"
      "serializeImagePulls: false\nmaxParallelImagePulls: 3\nregistryPullQPS: 4\nregistryBurst: 5\n"
      "tlsCipherSuites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\nenableDebuggingHandlers: false\nenableServer: false\n"
      "failSwapOn: false\nprotectKernelDefaults: true\nlogging: {verbosity: 5}\n"
      "memorySwap: {swapBehavior: LimitedSwap}\nsingleProcessOOMKill: true\n"
      "containerRuntimeEndpoint: unix:///run/c.sock\nimageServiceEndpoint: unix:///run/c.sock\n");
  EXPECT_THAT(config.notes, IsEmpty());
  EXPECT_FALSE(config.cpu_cfs_quota || config.enable_debugging_handlers || config.fail_swap_on);
  EXPECT_TRUE(config.protect_kernel_defaults && config.single_process_oom_kill);
  EXPECT_EQ(config.swap_behavior, "LimitedSwap");
  EXPECT_EQ(config.cpu_cfs_quota_period + " " + config.max_container_restart_period, "10ms 20s");
  EXPECT_EQ(config.kube_api_qps + config.kube_api_burst + config.event_qps + config.event_burst, "7809");
  EXPECT_EQ(config.runtime_request_timeout, "1m0s");
  EXPECT_EQ(config.max_parallel_image_pulls + config.registry_qps + config.registry_burst, "345");
  EXPECT_THAT(config.tls_cipher_suites, ElementsAre("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
  EXPECT_EQ(config.kubelet_port, "0");
  EXPECT_EQ(config.log_level, "debug");
}

TEST(KubeletConfig, PullsAreSideBySideUnlessTheFileSaysOtherwise) {
  const std::string head = kHead;
  EXPECT_EQ(parsed(head).max_parallel_image_pulls, "0");
  EXPECT_EQ(parsed(head + "serializeImagePulls: true\n").max_parallel_image_pulls, "1");
  EXPECT_EQ(refused("serializeImagePulls: true\nmaxParallelImagePulls: 2\n"),
            "maxParallelImagePulls: 2 needs serializeImagePulls: false beside it");
  const auto apart = parsed(head + "imageServiceEndpoint: unix:///run/i.sock\n");
  EXPECT_THAT(apart.notes, IsEmpty());
  EXPECT_EQ(apart.image_socket, "/run/i.sock");
}

TEST(KubeletConfig, WhatDoesNotApplyIsTold) {
  EXPECT_THAT(parsed(std::string(kHead) + "memoryManagerPolicy: Static\nfailSwapOn: false\noomScoreAdj: -999\n"
                                          "maxOpenFiles: 100\n"
                                          "enableControllerAttachDetach: true\n")
                  .notes,
              ElementsAre("f.yaml: memoryManagerPolicy: Static is not applied: memory and devices are not pinned",
                          HasSubstr("maxOpenFiles: 100")));
}

TEST(KubeletConfig, UnknownFieldsAreToldAndTheRestCounts) {
  const auto config =
      parsed(std::string(kHead) + "maxpods: 1\nauthentication: {webhook: {enable: true}}\nmaxPods: 7\n");
  EXPECT_EQ(config.max_pods, "7");
  EXPECT_THAT(
      config.notes,
      ElementsAre("f.yaml:3: maxpods: unknown field, passed over; did you mean maxPods?",
                  "f.yaml:4: authentication.webhook.enable: unknown field, passed over; did you mean enabled?"));
}

TEST(KubeletConfig, DropInFilesChangeWhatStandsBefore) {
  const std::string head = kHead;
  const std::vector<ConfigText> files = {
      {"a", head + "maxPods: 7\nclusterDNS: [192.0.2.1, 192.0.2.2]\nevictionHard: {memory.available: 1Gi}\n"
                   "authentication: {webhook: {enabled: false, cacheTTL: 1m0s}}\n"},
      {"b", head + "maxPods: 8\nclusterDNS: [192.0.2.3]\nevictionHard: {nodefs.available: 5%}\n"
                   "authentication: {webhook: {enabled: true}}\nmemoryManagerPolicy: Static\n"},
      {"c", head + "maxPods: 9\n"}};
  const auto config = parse_kubelet_config(files, {});
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->max_pods, "9");
  EXPECT_THAT(config->cluster_dns, ElementsAre("192.0.2.3"));
  EXPECT_THAT(config->eviction_hard, ElementsAre("memory.available<1Gi", "nodefs.available<5%"));
  EXPECT_TRUE(config->token_webhook);
  EXPECT_EQ(config->token_webhook_cache_ttl, "1m0s");
  EXPECT_THAT(config->notes, ElementsAre(HasSubstr("b: memoryManagerPolicy: Static is not applied")));
  EXPECT_EQ(parse_kubelet_config(std::vector<ConfigText>{files[0], {"d", "maxPods: 1\n"}}, {}).error().message(),
            "d:1: expected apiVersion: kubelet.config.k8s.io/v1beta1 and kind: KubeletConfiguration");
}

TEST(KubeletConfig, DropInFilesAreReadByTheirNames) {
  std::string folder = ::testing::TempDir() + "keelson-drop-in-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  std::filesystem::create_directory(folder + "/15-below");
  for (const char* name : {"20-b.conf", "10-a.conf", "15-below/c.conf", "readme.md"}) {
    std::ofstream(folder + "/" + name) << name;
  }
  std::vector<std::string> names;
  for (const auto& file : read_drop_ins(folder).value()) {
    names.push_back(file.text);
  }
  EXPECT_THAT(names, ElementsAre("10-a.conf", "15-below/c.conf", "20-b.conf"));
  std::filesystem::remove_all(folder);
  EXPECT_EQ(read_drop_ins(folder).error().kind(), Kind::not_found);
}

TEST(KubeletConfig, WrongFieldsAreNamedWithTheirLines) {
  EXPECT_EQ(refused("evictionHard: [a]\nnodeLeaseDurationSeconds: x\nregisterWithTaints: a\n"),
            "f.yaml:3: evictionHard: expected names with strings\n"
            "f.yaml:4: nodeLeaseDurationSeconds: expected a whole number\n"
            "f.yaml:5: registerWithTaints: expected a list of objects");
  EXPECT_EQ(parse_kubelet_config("kind: Pod\n", "f.yaml", {}).error().message(),
            "f.yaml:1: expected apiVersion: kubelet.config.k8s.io/v1beta1 and kind: KubeletConfiguration");
}

}  // namespace
}  // namespace keelson::cli
