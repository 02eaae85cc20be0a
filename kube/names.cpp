// SPDX-License-Identifier: Apache-2.0
// to_string of every enum of this room.
#include "kube/names.h"

namespace keelson::kube {

std::string_view to_string(UriScheme value) {
  return name_of(value);
}
std::string_view to_string(ProfileType value) {
  return name_of(value);
}
std::string_view to_string(ProcMount value) {
  return name_of(value);
}
std::string_view to_string(SupplementalGroupsPolicy value) {
  return name_of(value);
}
std::string_view to_string(FsGroupChangePolicy value) {
  return name_of(value);
}
std::string_view to_string(PullPolicy value) {
  return name_of(value);
}
std::string_view to_string(Protocol value) {
  return name_of(value);
}
std::string_view to_string(RestartPolicy value) {
  return name_of(value);
}
std::string_view to_string(TerminationMessagePolicy value) {
  return name_of(value);
}
std::string_view to_string(MountPropagation value) {
  return name_of(value);
}
std::string_view to_string(RecursiveReadOnly value) {
  return name_of(value);
}
std::string_view to_string(HostPathType value) {
  return name_of(value);
}
std::string_view to_string(PodPhase value) {
  return name_of(value);
}
std::string_view to_string(QosClass value) {
  return name_of(value);
}
std::string_view to_string(ConditionStatus value) {
  return name_of(value);
}
std::string_view to_string(DnsPolicy value) {
  return name_of(value);
}
std::string_view to_string(ServiceType value) {
  return name_of(value);
}
std::string_view to_string(SelectorOperator value) {
  return name_of(value);
}

}  // namespace keelson::kube
