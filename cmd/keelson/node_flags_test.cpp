// SPDX-License-Identifier: Apache-2.0
// A kubelet's command line is the daemon's.
#include "cmd/keelson/node_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "cmd/keelson/arguments.h"

namespace keelson::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class NodeFlagsTest : public ::testing::Test {
 protected:
  NodeFlagsTest() { EXPECT_NE(::mkdtemp(folder_.data()), nullptr); }
  ~NodeFlagsTest() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  std::string kubelet_file(const std::string& name, const std::string& fields) {
    return file(name, "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n" + fields);
  }
  static Result<NodeConfig> load(std::vector<std::string> words) {
    CLI::App app;
    auto flags = NodeFlags::add(app);
    std::vector<const char*> given;
    for (const auto& word : words) {
      given.push_back(word.c_str());
    }
    KEELSON_TRY(auto all, arguments(given, app));
    parse(app, std::move(all));
    return flags->load({});
  }

  std::string folder_ = ::testing::TempDir() + "keelson-flags-XXXXXX";
};

TEST_F(NodeFlagsTest, AKubeadmNodesCommandLineIsTaken) {
  const auto configuration = kubelet_file("config.yaml", "maxPods: 7\nstaticPodPath: /etc/kubernetes/manifests\n");
  const auto config = load(
      {"--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf", "--kubeconfig=/etc/kubernetes/kubelet.conf",
       "--config=" + configuration, "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
       "--roles=agent", "--pod-infra-container-image=registry.k8s.io/pause:3.10", "--node-ip=192.0.2.7",
       "--hostname-override= Node-7", "--root-dir=/var/lib/kubelet", "--v=4", "--feature-gates=A=true,B=false",
       "--cpu-manager-policy=static", "--cpu-manager-policy-options=full-pcpus-only=true,strict-cpu-reservation=true",
       "--cpu-manager-reconcile-period=5s", "--reserved-cpus=0", "--cgroups-per-qos=true"});
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->max_pods, "7");
  EXPECT_EQ(config->manifest_dir, "/etc/kubernetes/manifests");
  EXPECT_EQ(config->cri_socket, "/run/containerd/containerd.sock");
  EXPECT_EQ(config->node_name, "node-7");
  EXPECT_EQ(config->root, "/var/lib/kubelet");
  EXPECT_EQ(config->log_level, "debug");
  EXPECT_THAT(config->node_ip, ElementsAre("192.0.2.7"));
  EXPECT_EQ(config->cpu_manager_policy + " " + config->cpu_manager_reconcile_period, "static 5s");
  EXPECT_EQ(config->reserved_system_cpus, "0");
  EXPECT_THAT(config->cpu_manager_policy_options, ElementsAre("full-pcpus-only=true", "strict-cpu-reservation=true"));
  EXPECT_THAT(config->notes, ElementsAre(HasSubstr("--pod-infra-container-image=registry.k8s.io/pause:3.10 is not"),
                                         "featureGates: A=true is not applied: there is no such gate here",
                                         "featureGates: B=false is not applied: there is no such gate here"));
}

TEST_F(NodeFlagsTest, FlagsStandAboveDropInsAndThoseAboveTheFile) {
  const auto configuration = kubelet_file("config.yaml", "maxPods: 7\npodsPerCore: 1\nclusterDomain: a.local\n");
  std::filesystem::create_directory(folder_ + "/more");
  kubelet_file("more/10.conf", "podsPerCore: 2\nclusterDomain: b.local\n");
  const auto config =
      load({"--kubelet-config", configuration, "--config-dir", folder_ + "/more", "--cluster-domain", "c.local"});
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->max_pods + " " + config->pods_per_core + " " + config->cluster_domain, "7 2 c.local");
}

TEST_F(NodeFlagsTest, AKubeletsFlagStandsAboveOurFile) {
  const auto own = file("keelson.yaml",
                        "apiVersion: node.keelson.dev/v1alpha1\nkind: KeelsonConfiguration\nlogLevel: warning\n"
                        "maxPods: '9'\n");
  const auto config = load({"--config", own, "-v", "5"});
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->log_level + " " + config->max_pods, "debug 9");
  EXPECT_FALSE(config->as_kubelet);
}

TEST_F(NodeFlagsTest, GatesAreOnOrOff) {
  const auto config = load({"--feature-gates=CPUManagerPolicyAlphaOptions=true"});
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_THAT(config->feature_gates, ElementsAre("CPUManagerPolicyAlphaOptions=true"));
  EXPECT_EQ(config->notes.size(), 0U);
  EXPECT_EQ(load({"--feature-gates=CPUManagerPolicyAlphaOptions=perhaps"}).error().message(),
            "featureGates: 'CPUManagerPolicyAlphaOptions=perhaps' is neither NAME=true nor NAME=false");
}

TEST_F(NodeFlagsTest, OneFileOfAKindIsTaken) {
  const auto configuration = kubelet_file("config.yaml", "maxPods: 7\n");
  EXPECT_EQ(load({"--config", configuration, "--kubelet-config", configuration}).error().message(),
            configuration + " and " + configuration + ": one of them is to be given, not both");
  EXPECT_EQ(load({"--cgroups-per-qos=perhaps"}).error().message(),
            "--cgroups-per-qos:3: cgroupsPerQOS: expected true or false");
}

}  // namespace
}  // namespace keelson::cli
