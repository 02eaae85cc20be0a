// SPDX-License-Identifier: Apache-2.0
// API names of metadata and of everything in a container: one line a field, for reading and writing alike (reader.h).
#pragma once

#include "kube/container.h"
#include "kube/meta.h"
#include "kube/reader.h"

namespace keelson::kube {

void fields(auto& v, Of<OwnerReference> auto& o) {
  v.always("apiVersion", o.api_version);
  v.always("kind", o.kind);
  v.always("name", o.name);
  v.always("uid", o.uid);
  v("controller", o.controller);
  v("blockOwnerDeletion", o.block_owner_deletion);
}

void fields(auto& v, Of<ObjectMeta> auto& m) {
  v("name", m.name);
  v("generateName", m.generate_name);
  v("namespace", m.ns);
  v("uid", m.uid);
  v("labels", m.labels);
  v("annotations", m.annotations);
  v("creationTimestamp", m.creation_timestamp);
  v("deletionTimestamp", m.deletion_timestamp);
  v("deletionGracePeriodSeconds", m.deletion_grace_period_seconds);
  v("generation", m.generation);
  v("resourceVersion", m.resource_version);
  v("ownerReferences", m.owner_references);
  v("finalizers", m.finalizers);
  v.ignored({"managedFields", "selfLink"});
}

void fields(auto& v, Of<ExecAction> auto& a) {
  v("command", a.command);
}

void fields(auto& v, Of<HttpHeader> auto& h) {
  v.always("name", h.name);
  v.always("value", h.value);
}

void fields(auto& v, Of<HttpGetAction> auto& a) {
  v("path", a.path);
  v.always("port", a.port);
  v("host", a.host);
  v("scheme", a.scheme);
  v("httpHeaders", a.http_headers);
}

void fields(auto& v, Of<TcpSocketAction> auto& a) {
  v.always("port", a.port);
  v("host", a.host);
}

void fields(auto& v, Of<GrpcAction> auto& a) {
  v.always("port", a.port);
  v.always("service", a.service);
}

void fields(auto& v, Of<Probe> auto& p) {
  v("exec", p.exec);
  v("httpGet", p.http_get);
  v("tcpSocket", p.tcp_socket);
  v("grpc", p.grpc);
  v("initialDelaySeconds", p.initial_delay_seconds);
  v("timeoutSeconds", p.timeout_seconds);
  v("periodSeconds", p.period_seconds);
  v("successThreshold", p.success_threshold);
  v("failureThreshold", p.failure_threshold);
  v("terminationGracePeriodSeconds", p.termination_grace_period_seconds);
}

void fields(auto& v, Of<SleepAction> auto& a) {
  v.always("seconds", a.seconds);
}

void fields(auto& v, Of<LifecycleHandler> auto& h) {
  v("exec", h.exec);
  v("httpGet", h.http_get);
  v("tcpSocket", h.tcp_socket);
  v("sleep", h.sleep);
}

void fields(auto& v, Of<Lifecycle> auto& l) {
  v("postStart", l.post_start);
  v("preStop", l.pre_stop);
  v("stopSignal", l.stop_signal);
}

void fields(auto& v, Of<SecurityProfile> auto& p) {
  v("type", p.type);
  v("localhostProfile", p.localhost_profile);
}

void fields(auto& v, Of<SeLinuxOptions> auto& o) {
  v("user", o.user);
  v("role", o.role);
  v("type", o.type);
  v("level", o.level);
}

void fields(auto& v, Of<Capabilities> auto& c) {
  v("add", c.add);
  v("drop", c.drop);
}

void fields(auto& v, Of<SecurityContext> auto& c) {
  v("capabilities", c.capabilities);
  v("privileged", c.privileged);
  v("seLinuxOptions", c.se_linux_options);
  v("runAsUser", c.run_as_user);
  v("runAsGroup", c.run_as_group);
  v("runAsNonRoot", c.run_as_non_root);
  v("readOnlyRootFilesystem", c.read_only_root_filesystem);
  v("allowPrivilegeEscalation", c.allow_privilege_escalation);
  v("procMount", c.proc_mount);
  v("seccompProfile", c.seccomp_profile);
  v("appArmorProfile", c.app_armor_profile);
  v.ignored({"windowsOptions"});
}

void fields(auto& v, Of<ContainerPort> auto& p) {
  v("name", p.name);
  v("hostPort", p.host_port);
  v.always("containerPort", p.container_port);
  v("protocol", p.protocol);
  v("hostIP", p.host_ip);
}

void fields(auto& v, Of<ContainerResizePolicy> auto& p) {
  v.always("resourceName", p.resource_name);
  v.always("restartPolicy", p.restart_policy);
}

void fields(auto& v, Of<KeySelector> auto& s) {
  v("name", s.name);
  v.always("key", s.key);
  v("optional", s.optional);
}

void fields(auto& v, Of<FieldRef> auto& r) {
  v("apiVersion", r.api_version);
  v.always("fieldPath", r.field_path);
}

void fields(auto& v, Of<ResourceFieldRef> auto& r) {
  v("containerName", r.container_name);
  v.always("resource", r.resource);
  v.always("divisor", r.divisor);
}

void fields(auto& v, Of<EnvVarSource> auto& s) {
  v("fieldRef", s.field_ref);
  v("resourceFieldRef", s.resource_field_ref);
  v("configMapKeyRef", s.config_map_key_ref);
  v("secretKeyRef", s.secret_key_ref);
  v.unsupported({"fileKeyRef"}, s.unsupported);
}

void fields(auto& v, Of<EnvVar> auto& e) {
  v.always("name", e.name);
  v("value", e.value);
  v("valueFrom", e.value_from);
}

void fields(auto& v, Of<EnvObjectRef> auto& r) {
  v("name", r.name);
  v("optional", r.optional);
}

void fields(auto& v, Of<EnvFromSource> auto& s) {
  v("prefix", s.prefix);
  v("configMapRef", s.config_map_ref);
  v("secretRef", s.secret_ref);
}

void fields(auto& v, Of<ResourceRequirements> auto& r) {
  v("limits", r.limits);
  v("requests", r.requests);
  v("claims", r.claims);
}

void fields(auto& v, Of<VolumeMount> auto& m) {
  v.always("name", m.name);
  v("readOnly", m.read_only);
  v("recursiveReadOnly", m.recursive_read_only);
  v.always("mountPath", m.mount_path);
  v("subPath", m.sub_path);
  v("mountPropagation", m.mount_propagation);
  v("subPathExpr", m.sub_path_expr);
}

void fields(auto& v, Of<VolumeDevice> auto& d) {
  v.always("name", d.name);
  v.always("devicePath", d.device_path);
}

void fields(auto& v, Of<Container> auto& c) {
  v.always("name", c.name);
  v("image", c.image);
  v("command", c.command);
  v("args", c.args);
  v("workingDir", c.working_dir);
  v("ports", c.ports);
  v("envFrom", c.env_from);
  v("env", c.env);
  v("resources", c.resources);
  v("resizePolicy", c.resize_policy);
  v("restartPolicy", c.restart_policy);
  v("volumeMounts", c.volume_mounts);
  v("volumeDevices", c.volume_devices);
  v("livenessProbe", c.liveness_probe);
  v("readinessProbe", c.readiness_probe);
  v("startupProbe", c.startup_probe);
  v("lifecycle", c.lifecycle);
  v("terminationMessagePath", c.termination_message_path);
  v("terminationMessagePolicy", c.termination_message_policy);
  v("imagePullPolicy", c.image_pull_policy);
  v("securityContext", c.security_context);
  v("stdin", c.stdin_open);
  v("stdinOnce", c.stdin_once);
  v("tty", c.tty);
}

}  // namespace keelson::kube
