// SPDX-License-Identifier: Apache-2.0
// Defaults, QoS and totals, selectors.
#include <gmock/gmock.h>

#include "kube/pod_qos.h"
#include "kube/selector.h"
#include "kube/testdata.h"

namespace keelson::kube {
namespace {

Pod pod_with(std::string_view spec) {
  return pod_of("{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {" + std::string(spec) + "}}");
}

TEST(Defaults, WhatTheApiServerFillsIn) {
  const Pod pod = pod_with(R"(restartPolicy: "", hostNetwork: true,
    volumes: [{name: a}, {name: b, configMap: {name: x}}, {name: c, hostPath: {path: /a}}],
    containers: [{name: a, image: b, ports: [{containerPort: 5}], resources: {limits: {cpu: 1, memory: 0.0001}},
      livenessProbe: {httpGet: {port: 1, path: ""}, timeoutSeconds: 0, periodSeconds: 0, successThreshold: 0, failureThreshold: 0},
      env: [{name: A, valueFrom: {fieldRef: {apiVersion: "", fieldPath: metadata.name}}}]}])");
  EXPECT_EQ(pod.metadata.ns, "default");
  EXPECT_EQ(pod.spec.restart_policy, RestartPolicy::always);
  EXPECT_EQ(pod.spec.termination_grace_period_seconds, 30);
  EXPECT_EQ(pod.spec.dns_policy, DnsPolicy::cluster_first);
  EXPECT_TRUE(pod.spec.enable_service_links);
  EXPECT_TRUE(pod.spec.volumes[0].empty_dir);
  EXPECT_EQ(pod.spec.volumes[1].config_map->default_mode, 0644);
  EXPECT_EQ(pod.spec.volumes[2].host_path->type, HostPathType::unset);
  const Container& container = pod.spec.containers.at(0);
  EXPECT_EQ(container.ports[0].host_port, 5);
  EXPECT_EQ(container.ports[0].protocol, Protocol::tcp);
  EXPECT_EQ(container.termination_message_path, "/dev/termination-log");
  EXPECT_EQ(container.resources.requests.at("cpu"), Quantity::of(1));
  EXPECT_EQ(container.resources.requests.at("memory"), Quantity::of_milli(1));
  const Probe& probe = *container.liveness_probe;
  EXPECT_EQ(probe.timeout_seconds, 1);
  EXPECT_EQ(probe.period_seconds, 10);
  EXPECT_EQ(probe.success_threshold, 1);
  EXPECT_EQ(probe.failure_threshold, 3);
  EXPECT_EQ(probe.http_get->path, "/");
  EXPECT_EQ(probe.http_get->scheme, UriScheme::http);
  EXPECT_EQ(container.env[0].value_from->field_ref->api_version, "v1");
  Pod again = pod;
  default_pod(again);
  EXPECT_EQ(again, pod);
}

TEST(Defaults, APodRequestsWhatItsContainersRequestTogetherBeforeItsLimit) {
  const Pod pod = pod_with(R"(resources: {limits: {cpu: 4, memory: 4Gi}},
    containers: [{name: a, image: b, resources: {requests: {cpu: 1}}},
                 {name: c, image: b, resources: {limits: {cpu: 2}}}])");
  EXPECT_EQ(pod.spec.resources->requests.at("cpu"), Quantity::of(3));
  EXPECT_EQ(pod.spec.resources->requests.at("memory"), pod.spec.resources->limits.at("memory"));
  EXPECT_EQ(qos_class(pod), QosClass::burstable);
  const Pod without = pod_with(R"(resources: {requests: {memory: 1Gi}},
    containers: [{name: a, image: b, resources: {requests: {cpu: 1}}}])");
  EXPECT_FALSE(without.spec.resources->requests.contains("cpu")) << "nothing is limited for the pod as a whole";
}

TEST(Defaults, PullPolicyByTag) {
  const std::vector<std::pair<std::string, PullPolicy>> cases = {{"nginx", PullPolicy::always},
                                                                 {"nginx:latest", PullPolicy::always},
                                                                 {"nginx:1.2", PullPolicy::if_not_present},
                                                                 {"host:5000/nginx", PullPolicy::always},
                                                                 {"host:5000/nginx:1", PullPolicy::if_not_present},
                                                                 {"nginx@sha256:ab", PullPolicy::if_not_present},
                                                                 {"nginx:latest@sha256:ab", PullPolicy::always}};
  for (const auto& [image, policy] : cases) {
    Pod pod;
    pod.spec.containers.emplace_back().image = image;
    pod.spec.volumes.emplace_back().image = ImageVolume{.reference = image};
    default_pod(pod);
    EXPECT_EQ(pod.spec.containers[0].image_pull_policy, policy) << image;
    EXPECT_EQ(pod.spec.volumes[0].image->pull_policy, policy) << image;
  }
}

TEST(Qos, Classes) {
  const std::vector<std::pair<std::string, QosClass>> cases = {
      {"{}", QosClass::best_effort},
      {"{limits: {cpu: 0}}", QosClass::best_effort},
      {"{limits: {example.com/x: 1}}", QosClass::best_effort},
      {"{limits: {cpu: 1, memory: 1Gi}}", QosClass::guaranteed},
      {"{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1000m}}", QosClass::guaranteed},
      {"{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}", QosClass::burstable},
      {"{limits: {cpu: 1}}", QosClass::burstable},
      {"{requests: {memory: 1}}", QosClass::burstable}};
  for (const auto& [resources, expected] : cases) {
    const Pod pod = pod_with("containers: [{name: a, image: b, resources: " + resources + "}]");
    EXPECT_EQ(qos_class(pod), expected) << resources;
  }
  EXPECT_EQ(qos_class(pod_with(
                "initContainers: [{name: i, image: b}], containers: [{name: a, image: b, resources: {limits: {cpu: "
                "1, memory: 1Gi}}}]")),
            QosClass::burstable);
  EXPECT_EQ(qos_class(pod_with("resources: {limits: {cpu: 1, memory: 1Gi}}, containers: [{name: a, image: b}]")),
            QosClass::guaranteed);
}

TEST(Qos, TotalsWithInitContainersAndSidecars) {
  const Pod pod = pod_with(R"(overhead: {cpu: 10m},
    initContainers: [
      {name: i1, image: b, resources: {requests: {cpu: 3, memory: 10Mi}}},
      {name: s1, image: b, restartPolicy: Always, resources: {requests: {cpu: 1, memory: 100Mi}, limits: {cpu: 1}}},
      {name: i2, image: b, resources: {requests: {cpu: 2500m, memory: 20Mi}}},
      {name: s2, image: b, restartPolicy: Always, resources: {requests: {cpu: 200m}}}],
    containers: [
      {name: a, image: b, resources: {requests: {cpu: 1, memory: 50Mi}, limits: {cpu: 2}}},
      {name: c, image: b, resources: {requests: {cpu: 1, memory: 50Mi}, limits: {cpu: 1}}}])");
  const ResourceList requests = pod_requests(pod);
  EXPECT_EQ(requests.at("cpu").to_string(), "3510m") << "i2 beside s1 needs the most";
  EXPECT_EQ(requests.at("memory").to_string(), "200Mi") << "mains and sidecars together";
  EXPECT_EQ(pod_limits(pod).at("cpu").to_string(), "4010m");
  EXPECT_EQ(pod_requests(pod, Overhead::left_out).at("cpu").to_string(), "3500m");
  EXPECT_EQ(pod_limits(pod, Overhead::left_out).at("cpu").to_string(), "4");
  EXPECT_FALSE(all_limited(pod, "cpu")) << "i1 has none";
}

TEST(Qos, APodIsLimitedIfEveryContainerIsInitContainersToo) {
  const std::string limited = "{limits: {cpu: 1}}";
  const auto all = [&](const std::string& init, const char* resource = "cpu", const std::string& whole = "") {
    return all_limited(pod_with("initContainers: [" + init +
                                "], containers: [{name: a, image: b, resources: " + limited + "}]" + whole),
                       resource);
  };
  const std::string unlimited = "{name: i, image: b}";
  const std::string sidecar = "{name: s, image: b, restartPolicy: Always, resources: " + limited + "}";
  EXPECT_TRUE(all(""));
  EXPECT_FALSE(all("", "memory"));
  EXPECT_TRUE(all("{name: i, image: b, resources: " + limited + "}"));
  EXPECT_FALSE(all(unlimited));
  EXPECT_FALSE(all("{name: i, image: b, restartPolicy: Always}"));
  EXPECT_FALSE(all(unlimited + ", " + sidecar));
  EXPECT_TRUE(all(sidecar + ", " + unlimited))
      << "as the kubelet: an init container counts with the sidecars before it";
  EXPECT_TRUE(all(unlimited, "cpu", ", resources: {limits: {cpu: 2}}"));
}

TEST(Qos, ContainersInheritTheLimitsOfTheirPod) {
  const Pod pod = pod_with(R"(resources: {limits: {cpu: 2, memory: 1Gi, hugepages-2Mi: 4Mi}, requests: {memory: 1Gi}},
    containers: [{name: a, image: b, resources: {limits: {cpu: 1}, requests: {memory: 100Mi}}}, {name: c, image: b}])");
  EXPECT_TRUE(has_pod_level(pod));
  const auto own = limits_in_pod(pod, pod.spec.containers[0]);
  EXPECT_EQ(own.at("cpu").to_string(), "1");
  EXPECT_EQ(own.at("memory").to_string(), "1Gi");
  EXPECT_EQ(own.at("hugepages-2Mi").to_string(), "4Mi");
  EXPECT_EQ(limits_in_pod(pod, pod.spec.containers[1]).at("cpu").to_string(), "2");
  EXPECT_EQ(pod_requests(pod).at("memory").to_string(), "1Gi");
  EXPECT_EQ(container_requests(pod).at("memory").to_string(), "100Mi");
  const Pod plain = pod_with("containers: [{name: a, image: b, resources: {limits: {cpu: 1}}}]");
  EXPECT_FALSE(has_pod_level(plain));
  EXPECT_EQ(limits_in_pod(plain, plain.spec.containers[0]).size(), 1u);
}

TEST(Selector, KubectlLanguage) {
  const StringMap labels = {{"app", "web"}, {"tier", "one"}, {"empty", ""}};
  const std::vector<std::pair<std::string, bool>> cases = {{"", true},
                                                           {"app=web", true},
                                                           {"app==web", true},
                                                           {"app!=web", false},
                                                           {"app = web , tier in (one, two)", true},
                                                           {"tier notin (one)", false},
                                                           {"gone notin (one)", true},
                                                           {"gone!=x", true},
                                                           {"app,!gone", true},
                                                           {"!app", false},
                                                           {"gone", false},
                                                           {"empty=", true},
                                                           {"app=", false}};
  for (const auto& [text, expected] : cases) {
    const auto selector = parse_selector(text);
    ASSERT_TRUE(selector) << text;
    EXPECT_EQ(matches(*selector, labels), expected) << text;
  }
  for (const std::string_view text : {",", "a,", "a in", "a in ()", "a in (b", "=b", "a b", "!", "a=b=c", "(a)"}) {
    EXPECT_FALSE(parse_selector(text)) << text;
  }
  EXPECT_TRUE(matches(LabelSelector{}, labels));
  EXPECT_FALSE(matches(LabelSelector{.match_labels = {{"app", "db"}}, .match_expressions = {}}, labels));
  EXPECT_FALSE(matches_service_selector({}, labels));
  EXPECT_TRUE(matches_service_selector({{"app", "web"}}, labels));
}

}  // namespace
}  // namespace keelson::kube
