// SPDX-License-Identifier: Apache-2.0
// persistent_volume.h from and to JSON.
#include "kube/fields_storage.h"
#include "kube/one_object.h"

namespace keelson::kube {

Result<PersistentVolumeClaim> decode_persistent_volume_claim(std::string_view text) {
  return decode_one<PersistentVolumeClaim>(text, "PersistentVolumeClaim");
}
Result<PersistentVolume> decode_persistent_volume(std::string_view text) {
  return decode_one<PersistentVolume>(text, "PersistentVolume");
}
Result<CsiDriver> decode_csi_driver(std::string_view text) {
  return decode_one<CsiDriver>(text, "CSIDriver");
}
Result<VolumeAttachment> decode_volume_attachment(std::string_view text) {
  return decode_one<VolumeAttachment>(text, "VolumeAttachment");
}
Result<CsiNode> decode_csi_node(std::string_view text) {
  return decode_one<CsiNode>(text, "CSINode");
}
Result<Secret> decode_secret(std::string_view text) {
  return decode_one<Secret>(text, "Secret");
}
std::string encode_json(const CsiNode& node) {
  return encode_one(node, "storage.k8s.io/v1", "CSINode");
}

}  // namespace keelson::kube
