// SPDX-License-Identifier: Apache-2.0
// Every rule of validation, by a small edit of a valid pod and the exact message it brings.
#include "kube/validation.h"

#include <gmock/gmock.h>

#include "kube/testdata.h"

namespace keelson::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kLabel =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

/// A pod with this in its first container and this in its spec.
std::string pod_with(std::string_view container, std::string_view spec = "") {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  " + std::string(spec) +
         "\n  containers:\n  - name: c\n    image: i\n    " + std::string(container) + "\n";
}

struct Case {
  std::string_view container;
  std::string_view spec;
  std::string error;  ///< Of the only error, without the line; empty: valid.
};

void PrintTo(const Case& wrong, std::ostream* out) {
  *out << wrong.container << " | " << wrong.spec;
}

class Rule : public testing::TestWithParam<Case> {};

TEST_P(Rule, Holds) {
  const auto errors = errors_of(pod_with(GetParam().container, GetParam().spec));
  if (GetParam().error.empty()) {
    EXPECT_THAT(errors, IsEmpty());
    return;
  }
  ASSERT_EQ(errors.size(), 1U) << testing::PrintToString(errors);
  EXPECT_EQ(errors[0].substr(errors[0].find(' ') + 1), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Ports, Rule,
    testing::Values(
        Case{"ports: [{containerPort: 0}]", "", "spec.containers[0].ports[0].containerPort: Required value"},
        Case{"ports: [{containerPort: 70000}]", "",
             "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"},
        Case{"ports: [{containerPort: 1, hostPort: -1}]", "",
             "spec.containers[0].ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive"},
        Case{"ports: [{containerPort: 1, name: x}, {containerPort: 2, name: x}]", "",
             "spec.containers[0].ports[1].name: Duplicate value: \"x\""},
        Case{"ports: [{containerPort: 1, name: Web}]", "",
             "spec.containers[0].ports[0].name: Invalid value: \"Web\": must contain only alpha-numeric characters "
             "(a-z, "
             "0-9), and hyphens (-)"},
        Case{"ports: [{containerPort: 1, name: '80'}]", "",
             "spec.containers[0].ports[0].name: Invalid value: \"80\": must contain at least one letter (a-z)"},
        Case{"ports: [{containerPort: 1, name: sixteen-letters0}]", "",
             "spec.containers[0].ports[0].name: Invalid value: \"sixteen-letters0\": must be no more than 15 "
             "characters"},
        Case{"ports: [{containerPort: 1, hostPort: 9}, {containerPort: 2, hostPort: 9}]", "",
             "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//9\""},
        Case{"ports: [{containerPort: 1, hostPort: 9}, {containerPort: 2, hostPort: 9, protocol: UDP}]", "", ""},
        Case{"ports: [{containerPort: 1, hostPort: 2}]", "hostNetwork: true",
             "spec.containers[0].ports[0].hostPort: Invalid value: 2: must match `containerPort` when `hostNetwork` is "
             "true"},
        Case{"ports: [{containerPort: 1}]", "hostNetwork: true", ""}));

INSTANTIATE_TEST_SUITE_P(
    Probes, Rule,
    testing::Values(
        Case{"livenessProbe: {httpGet: {port: 70000}}", "",
             "spec.containers[0].livenessProbe.httpGet.port: Invalid value: 70000: must be between 1 and 65535, "
             "inclusive"},
        Case{"livenessProbe: {httpGet: {path: /}}", "",
             "spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive"},
        Case{"livenessProbe: {periodSeconds: 1}", "",
             "spec.containers[0].livenessProbe: Required value: must specify a handler type"},
        Case{"livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}", "",
             "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"},
        Case{"livenessProbe: {exec: {}}", "", "spec.containers[0].livenessProbe.exec.command: Required value"},
        Case{"livenessProbe: {tcpSocket: {port: 1}, successThreshold: 2}", "",
             "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"},
        Case{"startupProbe: {tcpSocket: {port: 1}, successThreshold: 2}", "",
             "spec.containers[0].startupProbe.successThreshold: Invalid value: 2: must be 1"},
        Case{"readinessProbe: {tcpSocket: {port: web}, successThreshold: 2}", "", ""},
        Case{"readinessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 3}", "",
             "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 3: must not be set for "
             "readinessProbes"},
        Case{
            "livenessProbe: {tcpSocket: {port: 1}, terminationGracePeriodSeconds: 0}", "",
            "spec.containers[0].livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0"},
        Case{"readinessProbe: {grpc: {port: 0}}", "",
             "spec.containers[0].readinessProbe.grpc.port: Invalid value: 0: must be between 1 and 65535, inclusive"},
        Case{"readinessProbe: {tcpSocket: {port: 1}, timeoutSeconds: -1}", "",
             "spec.containers[0].readinessProbe.timeoutSeconds: Invalid value: -1: must be greater than or equal to 0"},
        Case{"readinessProbe: {httpGet: {port: 1, httpHeaders: [{name: 'a b', value: c}]}}", "",
             "spec.containers[0].readinessProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must "
             "consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is "
             "'[-A-Za-z0-9]+')"},
        Case{"lifecycle: {preStop: {}}", "",
             "spec.containers[0].lifecycle.preStop: Required value: must specify a handler type"},
        Case{"lifecycle: {preStop: {sleep: {seconds: 31}}}", "",
             "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than "
             "terminationGracePeriodSeconds (30)"}));

INSTANTIATE_TEST_SUITE_P(
    Env, Rule,
    testing::Values(
        Case{"env: [{value: a}]", "", "spec.containers[0].env[0].name: Required value"},
        Case{"env: [{name: 'a=b'}]", "",
             "spec.containers[0].env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist "
             "only of "
             "printable ASCII characters other than '='"},
        Case{"env: [{name: 1.a-b}]", "", ""},
        Case{"env: [{name: A, valueFrom: {}}]", "",
             "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, "
             "`resourceFieldRef`, "
             "`configMapKeyRef` or `secretKeyRef`"},
        Case{
            "env: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]", "",
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"},
        Case{
            "env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.labels}}}]", "",
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.labels\": supported "
            "values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", "
            "\"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\""},
        Case{"env: [{name: A, valueFrom: {secretKeyRef: {name: s}}}]", "",
             "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value"},
        Case{"env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 3m}}}]", "",
             "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"3m\": only divisor's "
             "values 1m "
             "and 1 are supported with the cpu resource"},
        Case{
            "envFrom: [{prefix: A}]", "",
            "spec.containers[0].envFrom[0]: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"}));

INSTANTIATE_TEST_SUITE_P(
    Resources, Rule,
    testing::Values(
        Case{"resources: {limits: {memory: 1Mi}, requests: {memory: 2Mi}}", "",
             "spec.containers[0].resources.requests: Invalid value: \"2Mi\": must be less than or equal to memory "
             "limit of "
             "1Mi"},
        Case{"resources: {requests: {a.com/b: 1}}", "",
             "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources"},
        Case{"resources: {requests: {pods: 1}}", "",
             "spec.containers[0].resources.requests[pods]: Invalid value: \"pods\": must be a standard resource for "
             "containers"},
        Case{"resources: {limits: {hugepages-2Mi: 4Mi}}", "",
             "spec.containers[0].resources: Forbidden: HugePages require cpu or memory"}));

INSTANTIATE_TEST_SUITE_P(
    Volumes, Rule,
    testing::Values(
        Case{"volumeMounts: [{name: v, mountPath: /a}]", "",
             "spec.containers[0].volumeMounts[0].name: Not found: \"v\""},
        Case{"volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /a}]", "volumes: [{name: v}]",
             "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique"},
        Case{"volumeMounts: [{name: v, mountPath: /a, subPath: /x}]", "volumes: [{name: v}]",
             "spec.containers[0].volumeMounts[0].subPath: Invalid value: \"/x\": must be a relative path"},
        Case{"volumeMounts: [{name: v, mountPath: /a, subPath: x/../y}]", "volumes: [{name: v}]",
             "spec.containers[0].volumeMounts[0].subPath: Invalid value: \"x/../y\": must not contain '..'"},
        Case{"volumeMounts: [{name: v, mountPath: /a, subPath: x..y}]", "volumes: [{name: v}]", ""},
        Case{"volumeMounts: [{name: v, mountPath: /a, mountPropagation: Bidirectional}]", "volumes: [{name: v}]",
             "spec.containers[0].volumeMounts[0].mountPropagation: Forbidden: Bidirectional mount propagation is "
             "available "
             "only to privileged containers"},
        Case{"tty: true", "volumes: [{name: v}, {name: v}]", "spec.volumes[1].name: Duplicate value: \"v\""},
        Case{"tty: true", "volumes: [{name: V}]", "spec.volumes[0].name: Invalid value: \"V\": " + std::string(kLabel)},
        Case{"tty: true", "volumes: [{name: v, emptyDir: {}, hostPath: {path: /}}]",
             "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"},
        Case{"tty: true", "volumes: [{name: v, hostPath: {path: /a/../b}}]",
             "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"},
        Case{"tty: true", "volumes: [{name: v, hostPath: {path: /a, type: Dir}}]",
             "spec.volumes[0].hostPath.type: Unsupported value: \"Dir\": supported values: \"BlockDevice\", "
             "\"CharDevice\", "
             "\"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\""},
        Case{"volumeMounts: [{name: v, mountPath: /a, subPath: x}]", "volumes: [{name: v, image: {reference: a}}]", ""},
        Case{"tty: true", "volumes: [{name: v, image: {}}]", "spec.volumes[0].image.reference: Required value"},
        Case{"tty: true", "volumes: [{name: v, emptyDir: {}, image: {reference: a}}]",
             "spec.volumes[0].image: Forbidden: may not specify more than 1 volume type"},
        Case{"tty: true", "volumes: [{name: v, image: {reference: a, pullPolicy: Often}}]",
             "spec.volumes[0].image.pullPolicy: Unsupported value: \"Often\": supported values: \"Always\", "
             "\"IfNotPresent\", \"Never\""},
        Case{"tty: true", "volumes: [{name: v, iscsi: {}}]",
             "spec.volumes[0].iscsi: Forbidden: this node does not support this volume type"},
        Case{"tty: true", "volumes: [{name: v, configMap: {}}]", "spec.volumes[0].configMap.name: Required value"},
        Case{"tty: true", "volumes: [{name: v, secret: {}}]", "spec.volumes[0].secret.secretName: Required value"},
        Case{"tty: true", "volumes: [{name: v, configMap: {name: a, defaultMode: 512}}]",
             "spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), "
             "both "
             "inclusive"},
        Case{"tty: true", "volumes: [{name: v, secret: {secretName: a, items: [{key: k, path: ../x}]}}]",
             "spec.volumes[0].secret.items[0].path: Invalid value: \"../x\": must not contain '..'"},
        Case{"tty: true", "volumes: [{name: v, downwardAPI: {items: [{path: x}]}}]",
             "spec.volumes[0].downwardAPI.items[0]: Required value: one of fieldRef and resourceFieldRef is required"},
        Case{"tty: true", "volumes: [{name: v, projected: {sources: [{}]}}]",
             "spec.volumes[0].projected.sources[0]: Required value: must specify a volume type"}));

INSTANTIATE_TEST_SUITE_P(
    Pod, Rule,
    testing::Values(
        Case{"image: ' i'", "",
             "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace"},
        Case{"restartPolicy: Always", "",
             "spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers"},
        Case{"tty: true", "initContainers: [{name: c, image: i}]",
             "spec.initContainers[0].name: Duplicate value: \"c\""},
        Case{"tty: true", "initContainers: [{name: d, image: i, restartPolicy: Never}]",
             "spec.initContainers[0].restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""},
        Case{"tty: true", "initContainers: [{name: d, image: i, livenessProbe: {tcpSocket: {port: 1}}}]",
             "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without "
             "restartPolicy=Always"},
        Case{"tty: true",
             "initContainers: [{name: d, image: i, restartPolicy: Always, livenessProbe: {tcpSocket: {port: 1}}}]", ""},
        Case{"tty: true", "terminationGracePeriodSeconds: -1",
             "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0"},
        Case{"tty: true", "activeDeadlineSeconds: 0",
             "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"},
        Case{"env: [{name: A, valueFrom: {fileKeyRef: {path: a, key: b, volumeName: c}}}]", "",
             "spec.containers[0].env[0].valueFrom.fileKeyRef: Forbidden: this node does not support this source"},
        Case{"tty: true", "resourceClaims: [{name: gpu, resourceClaimName: gpu}]",
             "spec.resourceClaims: Forbidden: this node does not support dynamic resources"},
        Case{"tty: true", "hostname: A_B", "spec.hostname: Invalid value: \"A_B\": " + std::string(kLabel)},
        Case{"tty: true", "dnsPolicy: None",
             "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"},
        Case{"tty: true", "dnsConfig: {nameservers: [a.b]}",
             "spec.dnsConfig.nameservers[0]: Invalid value: \"a.b\": must be a valid IP address, (e.g. 10.9.8.7 or "
             "2001:db8::ffff)"},
        Case{"tty: true", "hostAliases: [{ip: 1.2.3, hostnames: [a]}]",
             "spec.hostAliases[0].ip: Invalid value: \"1.2.3\": must be a valid IP address, (e.g. 10.9.8.7 or "
             "2001:db8::ffff)"},
        Case{"tty: true", "tolerations: [{operator: Equal, value: a}]",
             "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, "
             "which means "
             "\"match all values and all keys\""},
        Case{"tty: true",
             "securityContext: {sysctls: [{name: net.ipv4.x, value: '1'}, {name: net/ipv4/x, value: '1'}]}",
             "spec.securityContext.sysctls[1].name: Duplicate value: \"net/ipv4/x\""},
        Case{"tty: true", "securityContext: {sysctls: [{name: a..b, value: '1'}]}",
             "spec.securityContext.sysctls[0].name: Invalid value: \"a..b\": must have at most 253 characters and "
             "match regex "
             "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*([a-z0-9][-_a-z0-9]*)?[a-z0-9]$"},
        Case{"tty: true", "securityContext: {runAsUser: -1}",
             "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"},
        Case{"securityContext: {seccompProfile: {}}", "",
             "spec.containers[0].securityContext.seccompProfile.type: Required value: type is required when "
             "seccompProfile is "
             "set"},
        Case{"securityContext: {seccompProfile: {type: Localhost}}", "",
             "spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: must be set when "
             "seccomp "
             "type is Localhost"},
        Case{"securityContext: {privileged: true, allowPrivilegeEscalation: false}", "",
             "spec.containers[0].securityContext: Forbidden: cannot set `allowPrivilegeEscalation` to false and "
             "`privileged` "
             "to true"}));

TEST(Validation, SeveralAtOnceWithTheirLines) {
  EXPECT_THAT(errors_of("apiVersion: v1\nkind: Pod\nmetadata:\n  labels: {'a b': 'c/d'}\nspec:\n  containers: []\n"),
              ElementsAre("3: metadata.name: Required value: name or generateName is required",
                          HasSubstr("4: metadata.labels: Invalid value: \"a b\": name part must consist of"),
                          HasSubstr("4: metadata.labels: Invalid value: \"c/d\": a valid label must be"),
                          "6: spec.containers: Required value"));
  EXPECT_THAT(
      errors_of(pod_with("resources: {limits: {cpu: -1}}")),
      ElementsAre(
          "9: spec.containers[0].resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
          "9: spec.containers[0].resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to "
          "0"));
}

TEST(Validation, ConfigMapAndSecret) {
  const auto of = [](std::string_view kind, std::string_view rest) {
    return errors_of("{apiVersion: v1, kind: " + std::string(kind) + ", metadata: {name: a}, " + std::string(rest) +
                     "}");
  };
  EXPECT_THAT(of("ConfigMap", "data: {a: b}, binaryData: {c: AA==}, immutable: true"), IsEmpty());
  EXPECT_THAT(of("ConfigMap", "data: {a: b}, binaryData: {a: AA==}"),
              ElementsAre("1: data[a]: Invalid value: \"a\": duplicate of key present in binaryData"));
  EXPECT_THAT(of("ConfigMap", "binaryData: {a: A}"), ElementsAre("1: binaryData.a: not valid base64"));
  EXPECT_THAT(
      of("ConfigMap", "data: {'a/b': c}"),
      ElementsAre(
          "1: data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', "
          "'_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
          "'[-._a-zA-Z0-9]+')"));
  EXPECT_THAT(of("ConfigMap", "data: {'..a': c}"),
              ElementsAre("1: data[..a]: Invalid value: \"..a\": must not start with '..'"));
  EXPECT_THAT(of("ConfigMap", "data: {a: " + std::string(1024 * 1024 + 1, 'x') + "}"),
              ElementsAre("1: Too long: may not be more than 1048576 bytes"));
  EXPECT_THAT(of("Secret", "type: kubernetes.io/tls, stringData: {tls.crt: x}"),
              ElementsAre("1: data[tls.key]: Required value"));
  EXPECT_THAT(of("Secret", "type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: '{}'}"), IsEmpty());
}

TEST(Validation, Service) {
  const auto of = [](std::string_view spec) {
    return errors_of("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {" + std::string(spec) + "}}");
  };
  EXPECT_THAT(of("ports: [{port: 80}]"), IsEmpty());
  EXPECT_THAT(of("clusterIP: None"), IsEmpty());
  EXPECT_THAT(of("selector: {a: b}"), ElementsAre("1: spec.ports: Required value"));
  EXPECT_THAT(of("ports: [{port: 80}, {port: 80}]"),
              ElementsAre("1: spec.ports[0].name: Required value", "1: spec.ports[1].name: Required value",
                          "1: spec.ports[1]: Duplicate value: \"80\""));
  EXPECT_THAT(of("type: ExternalName"), ElementsAre("1: spec.externalName: Required value"));
  EXPECT_THAT(of("ports: [{port: 0}]"), testing::SizeIs(2));
}

}  // namespace
}  // namespace keelson::kube
