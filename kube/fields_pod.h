// SPDX-License-Identifier: Apache-2.0
// API names of volumes, the pod's spec and its status (see reader.h).
#pragma once

#include "kube/fields_container.h"
#include "kube/pod.h"

namespace keelson::kube {

void fields(auto& v, Of<EmptyDirVolume> auto& e) {
  v("medium", e.medium);
  v("sizeLimit", e.size_limit);
}

void fields(auto& v, Of<HostPathVolume> auto& h) {
  v.always("path", h.path);
  v("type", h.type);
}

void fields(auto& v, Of<KeyToPath> auto& k) {
  v.always("key", k.key);
  v.always("path", k.path);
  v("mode", k.mode);
}

/// A ConfigMap or Secret volume; they differ in what the API calls the object's name.
void keyed_fields(auto& v, std::string_view name, Of<KeyedVolume> auto& k) {
  v(name, k.name);
  v("items", k.items);
  v.always("defaultMode", k.default_mode);
  v("optional", k.optional);
}

/// Gives `volume` the keyed source `source`, if the map has it.
void keyed_source(auto& v, std::string_view source, std::string_view name, std::optional<KeyedVolume>& volume) {
  v.object(source, [&](auto& inner) { keyed_fields(inner, name, volume.emplace()); });
}
void keyed_source(auto& v, std::string_view source, std::string_view name, const std::optional<KeyedVolume>& volume) {
  if (volume) {
    v.object(source, [&](auto& inner) { keyed_fields(inner, name, *volume); });
  }
}

void fields(auto& v, Of<DownwardApiFile> auto& f) {
  v.always("path", f.path);
  v("fieldRef", f.field_ref);
  v("resourceFieldRef", f.resource_field_ref);
  v("mode", f.mode);
}

void fields(auto& v, Of<DownwardApiVolume> auto& d) {
  v("items", d.items);
  v.always("defaultMode", d.default_mode);
}

void fields(auto& v, Of<KeyedProjection> auto& p) {
  v("name", p.name);
  v("items", p.items);
  v("optional", p.optional);
}

void fields(auto& v, Of<DownwardApiProjection> auto& p) {
  v("items", p.items);
}

void fields(auto& v, Of<ServiceAccountTokenProjection> auto& p) {
  v("audience", p.audience);
  v.always("expirationSeconds", p.expiration_seconds);
  v.always("path", p.path);
}

void fields(auto& v, Of<VolumeProjection> auto& p) {
  v("secret", p.secret);
  v("downwardAPI", p.downward_api);
  v("configMap", p.config_map);
  v("serviceAccountToken", p.service_account_token);
  v.unsupported({"clusterTrustBundle", "podCertificate"}, p.unsupported);
}

void fields(auto& v, Of<ProjectedVolume> auto& p) {
  v.always("sources", p.sources);
  v.always("defaultMode", p.default_mode);
}

void fields(auto& v, Of<PersistentVolumeClaimVolume> auto& p) {
  v.always("claimName", p.claim_name);
  v("readOnly", p.read_only);
}

void fields(auto& v, Of<NfsVolume> auto& n) {
  v.always("server", n.server);
  v.always("path", n.path);
  v("readOnly", n.read_only);
}

void fields(auto& v, Of<CsiVolume> auto& c) {
  v.always("driver", c.driver);
  v("readOnly", c.read_only);
  v("fsType", c.fs_type);
  v("volumeAttributes", c.attributes);
  v.object("nodePublishSecretRef", [&](auto& secret) { secret("name", c.node_publish_secret); });
}

void fields(auto& v, Of<EphemeralVolume> auto& e) {
  v("volumeClaimTemplate", e.volume_claim_template);
}

void fields(auto& v, Of<ImageVolume> auto& i) {
  v("reference", i.reference);
  v("pullPolicy", i.pull_policy);
}

void fields(auto& v, Of<Volume> auto& o) {
  v.always("name", o.name);
  v("emptyDir", o.empty_dir);
  v("hostPath", o.host_path);
  keyed_source(v, "configMap", "name", o.config_map);
  keyed_source(v, "secret", "secretName", o.secret);
  v("downwardAPI", o.downward_api);
  v("projected", o.projected);
  v("persistentVolumeClaim", o.persistent_volume_claim);
  v("nfs", o.nfs);
  v("csi", o.csi);
  v("ephemeral", o.ephemeral);
  v("image", o.image);
  v.unsupported({"iscsi", "fc", "flexVolume", "gitRepo", "glusterfs", "rbd", "cephfs", "cinder", "flocker", "quobyte",
                 "storageos", "scaleIO", "portworxVolume", "photonPersistentDisk", "vsphereVolume", "azureFile",
                 "azureDisk", "awsElasticBlockStore", "gcePersistentDisk"},
                o.unsupported);
}

void fields(auto& v, Of<Sysctl> auto& s) {
  v.always("name", s.name);
  v.always("value", s.value);
}

void fields(auto& v, Of<PodSecurityContext> auto& c) {
  v("seLinuxOptions", c.se_linux_options);
  v("runAsUser", c.run_as_user);
  v("runAsGroup", c.run_as_group);
  v("runAsNonRoot", c.run_as_non_root);
  v("supplementalGroups", c.supplemental_groups);
  v("supplementalGroupsPolicy", c.supplemental_groups_policy);
  v("fsGroup", c.fs_group);
  v("fsGroupChangePolicy", c.fs_group_change_policy);
  v("seccompProfile", c.seccomp_profile);
  v("appArmorProfile", c.app_armor_profile);
  v("seLinuxChangePolicy", c.se_linux_change_policy);
  v("sysctls", c.sysctls);
  v.ignored({"windowsOptions"});
}

void fields(auto& v, Of<DnsOption> auto& o) {
  v("name", o.name);
  v("value", o.value);
}

void fields(auto& v, Of<PodDnsConfig> auto& d) {
  v("nameservers", d.nameservers);
  v("searches", d.searches);
  v("options", d.options);
}

void fields(auto& v, Of<HostAlias> auto& a) {
  v.always("ip", a.ip);
  v("hostnames", a.hostnames);
}

void fields(auto& v, Of<Toleration> auto& t) {
  v("key", t.key);
  v("operator", t.op);
  v("value", t.value);
  v("effect", t.effect);
  v("tolerationSeconds", t.toleration_seconds);
}

void fields(auto& v, Of<EphemeralContainer> auto& e) {
  fields(v, e.container);
  v("targetContainerName", e.target_container_name);
}

void fields(auto& v, Of<PodSpec> auto& s) {
  v("volumes", s.volumes);
  v("initContainers", s.init_containers);
  v.always("containers", s.containers);
  v("restartPolicy", s.restart_policy);
  v.always("terminationGracePeriodSeconds", s.termination_grace_period_seconds);
  v("activeDeadlineSeconds", s.active_deadline_seconds);
  v("dnsPolicy", s.dns_policy);
  v("nodeSelector", s.node_selector);
  v("serviceAccountName", s.service_account_name);
  v.deprecated("serviceAccount", s.service_account_name);
  v("automountServiceAccountToken", s.automount_service_account_token);
  v("nodeName", s.node_name);
  v("hostNetwork", s.host_network);
  v("hostPID", s.host_pid);
  v("hostIPC", s.host_ipc);
  v("shareProcessNamespace", s.share_process_namespace);
  v("hostUsers", s.host_users);
  v("securityContext", s.security_context);
  v.names("imagePullSecrets", "name", s.image_pull_secrets);
  v("hostname", s.hostname);
  v("subdomain", s.subdomain);
  v("setHostnameAsFQDN", s.set_hostname_as_fqdn);
  v("tolerations", s.tolerations);
  v("hostAliases", s.host_aliases);
  v("schedulerName", s.scheduler_name);
  v("priorityClassName", s.priority_class_name);
  v("priority", s.priority);
  v("preemptionPolicy", s.preemption_policy);
  v("dnsConfig", s.dns_config);
  v.names("readinessGates", "conditionType", s.readiness_gates);
  v("runtimeClassName", s.runtime_class_name);
  v.always("enableServiceLinks", s.enable_service_links);
  v("overhead", s.overhead);
  v.object("os", [&](auto& os) { os("name", s.os_name); });
  v("resources", s.resources);
  v("affinity", s.affinity);
  v("ephemeralContainers", s.ephemeral_containers);
  v("topologySpreadConstraints", s.topology_spread_constraints);
  v("schedulingGates", s.scheduling_gates);
  v("resourceClaims", s.resource_claims);
}

void fields(auto& v, Of<PodCondition> auto& c) {
  v.always("type", c.type);
  v.always("status", c.status);
  v("observedGeneration", c.observed_generation);
  v.always("lastProbeTime", c.last_probe_time);
  v.always("lastTransitionTime", c.last_transition_time);
  v("reason", c.reason);
  v("message", c.message);
}

void fields(auto& v, Of<ContainerWaiting> auto& w) {
  v("reason", w.reason);
  v("message", w.message);
}

void fields(auto& v, Of<ContainerRunning> auto& r) {
  v.always("startedAt", r.started_at);
}

void fields(auto& v, Of<ContainerTerminated> auto& t) {
  v.always("exitCode", t.exit_code);
  v("signal", t.signal);
  v("reason", t.reason);
  v("message", t.message);
  v.always("startedAt", t.started_at);
  v.always("finishedAt", t.finished_at);
  v("containerID", t.container_id);
}

void fields(auto& v, Of<ContainerState> auto& s) {
  v("waiting", s.waiting);
  v("running", s.running);
  v("terminated", s.terminated);
}

void fields(auto& v, Of<VolumeMountStatus> auto& m) {
  v.always("name", m.name);
  v.always("mountPath", m.mount_path);
  v("readOnly", m.read_only);
  v("recursiveReadOnly", m.recursive_read_only);
}

void fields(auto& v, Of<LinuxContainerUser> auto& u) {
  v.always("uid", u.uid);
  v.always("gid", u.gid);
  v("supplementalGroups", u.supplemental_groups);
}

void fields(auto& v, Of<ContainerUser> auto& u) {
  v("linux", u.linux_user);
}

void fields(auto& v, Of<ContainerStatus> auto& s) {
  v.always("name", s.name);
  v("state", s.state);
  v("lastState", s.last_state);
  v.always("ready", s.ready);
  v.always("restartCount", s.restart_count);
  v.always("image", s.image);
  v.always("imageID", s.image_id);
  v("containerID", s.container_id);
  v("started", s.started);
  v("allocatedResources", s.allocated_resources);
  v("resources", s.resources);
  v("volumeMounts", s.volume_mounts);
  v("user", s.user);
  v.ignored({"allocatedResourcesStatus", "stopSignal"});
}

void fields(auto& v, Of<PodStatus> auto& s) {
  v("observedGeneration", s.observed_generation);
  v("phase", s.phase);
  v("conditions", s.conditions);
  v("message", s.message);
  v("reason", s.reason);
  v("nominatedNodeName", s.nominated_node_name);
  v("hostIP", s.host_ip);
  v.names("hostIPs", "ip", s.host_ips);
  v("podIP", s.pod_ip);
  v.names("podIPs", "ip", s.pod_ips);
  v("startTime", s.start_time);
  v("initContainerStatuses", s.init_container_statuses);
  v("containerStatuses", s.container_statuses);
  v("ephemeralContainerStatuses", s.ephemeral_container_statuses);
  v("qosClass", s.qos_class);
  v.ignored({"resize", "resourceClaimStatuses", "extendedResourceClaimStatus"});
}

void fields(auto& v, Of<Pod> auto& p) {
  v("metadata", p.metadata);
  v("spec", p.spec);
  v("status", p.status);
}

}  // namespace keelson::kube
