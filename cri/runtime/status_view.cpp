// SPDX-License-Identifier: Apache-2.0
// status_view.h.
#include "cri/runtime/status_view.h"

#include <string_view>

#include "cri/runtime/signals.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

using Labels = google::protobuf::Map<std::string, std::string>;

bool has_labels(const Labels& selector, const Labels& labels) {
  for (const auto& [key, value] : selector) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) {
      return false;
    }
  }
  return true;
}

bool starts(const std::string& prefix, const std::string& id) {
  return id.starts_with(prefix);
}

// The fields that every view of a sandbox, or of a container, has under the same names.
template <class View, class Record>
void copy_common(const Record& record, View& view) {
  view.set_id(record.id());
  *view.mutable_metadata() = record.config().metadata();
  *view.mutable_labels() = record.config().labels();
  *view.mutable_annotations() = record.config().annotations();
}

v1::ImageSpec image_of(const ContainerRecord& record) {
  v1::ImageSpec spec = record.config().image();
  if (!spec.user_specified_image().empty()) {
    spec.set_image(spec.user_specified_image());
  }
  return spec;
}

}  // namespace

v1::PodSandbox list_item(const SandboxRecord& record) {
  v1::PodSandbox item;
  copy_common(record, item);
  item.set_state(record.state());
  item.set_created_at(record.created_at());
  item.set_runtime_handler(record.runtime_handler());
  return item;
}

v1::PodSandboxStatus status_of(const SandboxRecord& record) {
  v1::PodSandboxStatus status;
  copy_common(record, status);
  status.set_state(record.state());
  status.set_created_at(record.created_at());
  status.set_runtime_handler(record.runtime_handler());
  auto* network = status.mutable_network();
  for (int i = 0; i < record.addresses_size(); ++i) {
    if (i == 0) {
      network->set_ip(record.addresses(i));
    } else {
      network->add_additional_ips()->set_ip(record.addresses(i));
    }
  }
  *status.mutable_linux()->mutable_namespaces()->mutable_options() =
      record.config().linux().security_context().namespace_options();
  return status;
}

v1::Container list_item(const ContainerRecord& record) {
  v1::Container item;
  copy_common(record, item);
  item.set_pod_sandbox_id(record.sandbox_id());
  *item.mutable_image() = image_of(record);
  item.set_image_ref(record.image_id());
  item.set_image_id(record.image_id());
  item.set_state(record.state());
  item.set_created_at(record.created_at());
  return item;
}

v1::ContainerStatus status_of(const ContainerRecord& record) {
  v1::ContainerStatus status;
  copy_common(record, status);
  status.set_state(record.state());
  status.set_created_at(record.created_at());
  status.set_started_at(record.started_at());
  status.set_finished_at(record.finished_at());
  status.set_exit_code(record.exit_code());
  status.set_reason(record.reason());
  status.set_message(record.message());
  *status.mutable_image() = image_of(record);
  status.set_image_ref(record.image_ref().empty() ? record.image_id() : record.image_ref());
  status.set_image_id(record.image_id());
  *status.mutable_mounts() = record.config().mounts();
  status.set_log_path(record.log_path());
  *status.mutable_resources()->mutable_linux() = record.resources();
  *status.mutable_user()->mutable_linux() = record.user();
  status.set_stop_signal(cri_signal(record.stop_signal()));
  return status;
}

v1::ContainerAttributes attributes_of(const ContainerRecord& record) {
  v1::ContainerAttributes attributes;
  copy_common(record, attributes);
  return attributes;
}

v1::PodSandboxAttributes attributes_of(const SandboxRecord& record) {
  v1::PodSandboxAttributes attributes;
  copy_common(record, attributes);
  return attributes;
}

bool matches(const v1::PodSandboxFilter& filter, const SandboxRecord& record) {
  return starts(filter.id(), record.id()) && (!filter.has_state() || filter.state().state() == record.state()) &&
         has_labels(filter.label_selector(), record.config().labels());
}

bool matches(const v1::ContainerFilter& filter, const ContainerRecord& record) {
  return starts(filter.id(), record.id()) && starts(filter.pod_sandbox_id(), record.sandbox_id()) &&
         (!filter.has_state() || filter.state().state() == record.state()) &&
         has_labels(filter.label_selector(), record.config().labels());
}

bool matches(const v1::PodSandboxStatsFilter& filter, const SandboxRecord& record) {
  return starts(filter.id(), record.id()) && has_labels(filter.label_selector(), record.config().labels());
}

bool matches(const v1::ContainerStatsFilter& filter, const ContainerRecord& record) {
  return starts(filter.id(), record.id()) && starts(filter.pod_sandbox_id(), record.sandbox_id()) &&
         has_labels(filter.label_selector(), record.config().labels());
}

}  // namespace keelson::cri
