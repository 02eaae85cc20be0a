// SPDX-License-Identifier: Apache-2.0
// The API's word for every enum value: one table each, for decoding, printing and "supported values".
#pragma once

#include <array>
#include <string_view>
#include <utility>

#include "kube/objects.h"
#include "kube/pod.h"
#include "kube/selector.h"

namespace keelson::kube {

template <class E, size_t N>
using Names = std::array<std::pair<E, std::string_view>, N>;

/// names_of(E{}) is the table of an enum.
constexpr Names<UriScheme, 2> names_of(UriScheme) {
  return {{{UriScheme::http, "HTTP"}, {UriScheme::https, "HTTPS"}}};
}
constexpr Names<ProfileType, 4> names_of(ProfileType) {
  return {{{ProfileType::unset, ""},
           {ProfileType::unconfined, "Unconfined"},
           {ProfileType::runtime_default, "RuntimeDefault"},
           {ProfileType::localhost, "Localhost"}}};
}
constexpr Names<ProcMount, 2> names_of(ProcMount) {
  return {{{ProcMount::default_mount, "Default"}, {ProcMount::unmasked, "Unmasked"}}};
}
constexpr Names<SupplementalGroupsPolicy, 2> names_of(SupplementalGroupsPolicy) {
  return {{{SupplementalGroupsPolicy::merge, "Merge"}, {SupplementalGroupsPolicy::strict, "Strict"}}};
}
constexpr Names<FsGroupChangePolicy, 2> names_of(FsGroupChangePolicy) {
  return {{{FsGroupChangePolicy::always, "Always"}, {FsGroupChangePolicy::on_root_mismatch, "OnRootMismatch"}}};
}
constexpr Names<PullPolicy, 3> names_of(PullPolicy) {
  return {{{PullPolicy::always, "Always"}, {PullPolicy::if_not_present, "IfNotPresent"}, {PullPolicy::never, "Never"}}};
}
constexpr Names<Protocol, 3> names_of(Protocol) {
  return {{{Protocol::tcp, "TCP"}, {Protocol::udp, "UDP"}, {Protocol::sctp, "SCTP"}}};
}
constexpr Names<ResizeRestart, 2> names_of(ResizeRestart) {
  return {{{ResizeRestart::not_required, "NotRequired"}, {ResizeRestart::restart_container, "RestartContainer"}}};
}
constexpr Names<RestartPolicy, 3> names_of(RestartPolicy) {
  return {
      {{RestartPolicy::always, "Always"}, {RestartPolicy::on_failure, "OnFailure"}, {RestartPolicy::never, "Never"}}};
}
constexpr Names<TerminationMessagePolicy, 2> names_of(TerminationMessagePolicy) {
  return {{{TerminationMessagePolicy::file, "File"},
           {TerminationMessagePolicy::fallback_to_logs_on_error, "FallbackToLogsOnError"}}};
}
constexpr Names<MountPropagation, 3> names_of(MountPropagation) {
  return {{{MountPropagation::none, "None"},
           {MountPropagation::host_to_container, "HostToContainer"},
           {MountPropagation::bidirectional, "Bidirectional"}}};
}
constexpr Names<RecursiveReadOnly, 3> names_of(RecursiveReadOnly) {
  return {{{RecursiveReadOnly::disabled, "Disabled"},
           {RecursiveReadOnly::if_possible, "IfPossible"},
           {RecursiveReadOnly::enabled, "Enabled"}}};
}
constexpr Names<HostPathType, 8> names_of(HostPathType) {
  return {{{HostPathType::unset, ""},
           {HostPathType::directory_or_create, "DirectoryOrCreate"},
           {HostPathType::directory, "Directory"},
           {HostPathType::file_or_create, "FileOrCreate"},
           {HostPathType::file, "File"},
           {HostPathType::socket, "Socket"},
           {HostPathType::char_device, "CharDevice"},
           {HostPathType::block_device, "BlockDevice"}}};
}
constexpr Names<PodPhase, 5> names_of(PodPhase) {
  return {{{PodPhase::pending, "Pending"},
           {PodPhase::running, "Running"},
           {PodPhase::succeeded, "Succeeded"},
           {PodPhase::failed, "Failed"},
           {PodPhase::unknown, "Unknown"}}};
}
constexpr Names<QosClass, 3> names_of(QosClass) {
  return {{{QosClass::guaranteed, "Guaranteed"},
           {QosClass::burstable, "Burstable"},
           {QosClass::best_effort, "BestEffort"}}};
}
constexpr Names<ConditionStatus, 3> names_of(ConditionStatus) {
  return {{{ConditionStatus::true_status, "True"},
           {ConditionStatus::false_status, "False"},
           {ConditionStatus::unknown, "Unknown"}}};
}
constexpr Names<DnsPolicy, 4> names_of(DnsPolicy) {
  return {{{DnsPolicy::cluster_first_with_host_net, "ClusterFirstWithHostNet"},
           {DnsPolicy::cluster_first, "ClusterFirst"},
           {DnsPolicy::default_policy, "Default"},
           {DnsPolicy::none, "None"}}};
}
constexpr Names<ServiceType, 4> names_of(ServiceType) {
  return {{{ServiceType::cluster_ip, "ClusterIP"},
           {ServiceType::node_port, "NodePort"},
           {ServiceType::load_balancer, "LoadBalancer"},
           {ServiceType::external_name, "ExternalName"}}};
}
constexpr Names<SessionAffinity, 2> names_of(SessionAffinity) {
  return {{{SessionAffinity::client_ip, "ClientIP"}, {SessionAffinity::none, "None"}}};
}
constexpr Names<TrafficPolicy, 2> names_of(TrafficPolicy) {
  return {{{TrafficPolicy::cluster, "Cluster"}, {TrafficPolicy::local, "Local"}}};
}
constexpr Names<IpFamily, 2> names_of(IpFamily) {
  return {{{IpFamily::ipv4, "IPv4"}, {IpFamily::ipv6, "IPv6"}}};
}
constexpr Names<IpMode, 2> names_of(IpMode) {
  return {{{IpMode::proxy, "Proxy"}, {IpMode::vip, "VIP"}}};
}
constexpr Names<AddressType, 3> names_of(AddressType) {
  return {{{AddressType::fqdn, "FQDN"}, {AddressType::ipv4, "IPv4"}, {AddressType::ipv6, "IPv6"}}};
}
constexpr Names<SelectorOperator, 4> names_of(SelectorOperator) {
  return {{{SelectorOperator::in, "In"},
           {SelectorOperator::not_in, "NotIn"},
           {SelectorOperator::exists, "Exists"},
           {SelectorOperator::does_not_exist, "DoesNotExist"}}};
}

/// The word; empty for a value outside the enum.
template <class E>
constexpr std::string_view name_of(E value) {
  for (const auto& [known, name] : names_of(E{})) {
    if (known == value) {
      return name;
    }
  }
  return {};
}

}  // namespace keelson::kube
