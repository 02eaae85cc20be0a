// SPDX-License-Identifier: Apache-2.0
#include "common/log.h"
#include "kube/folder/manifest_folder.h"
#include "network/derived_slices.h"
#include "network/object_source.h"

namespace keelson::network {
namespace {

/// What `now` has that `before` had not, or had otherwise; and what it no longer has.
template <class Object>
void difference(const std::map<std::string, Object>& before, const std::map<std::string, Object>& now,
                std::vector<Object>& changed, std::vector<std::string>& removed) {
  for (const auto& [key, object] : now) {
    auto known = before.find(key);
    if (known == before.end() || known->second != object) {
      changed.push_back(object);
    }
  }
  for (const auto& [key, object] : before) {
    if (!now.contains(key)) {
      removed.push_back(key);
    }
  }
}

class Folder : public LocalSource {
 public:
  Folder(Loop& loop, std::string path, std::string node_name)
      : node_name_(std::move(node_name)),
        source_(loop, std::move(path), [this](kube::DesiredState state) { folder_changed(std::move(state)); }) {}

  Task<> run(std::function<void(ObjectBatch)> take) override {
    take_ = std::move(take);
    co_return co_await source_.run();
  }

  void pod_changed(kube::Pod pod, bool gone) override {
    auto key = kube::full_name(pod.metadata);
    if (gone) {
      pods_.erase(key);
    } else {
      pods_.insert_or_assign(key, std::move(pod));
    }
    if (take_) {
      tell(of_folder_);
    }
  }

 private:
  void folder_changed(kube::DesiredState state) {
    for (const auto& problem : state.problems) {
      bool ours = problem.kind == "Service" || problem.kind == "EndpointSlice" || problem.kind == "Node" ||
                  problem.kind.empty();
      if (ours && std::ranges::find(told_, problem) == told_.end()) {
        log::warning("{}", problem.text);
      }
    }
    told_ = std::move(state.problems);
    ObjectBatch batch{.objects = {}, .nodes = {}, .synced = true};
    difference(services_, state.services, batch.objects.services, batch.objects.removed_services);
    difference(nodes_, state.nodes, batch.nodes.changed, batch.nodes.removed);
    services_ = std::move(state.services);
    nodes_ = std::move(state.nodes);
    of_folder_ = std::move(state.endpoint_slices);
    tell(of_folder_, std::move(batch));
  }

  /// `batch` and what changed of the slices: those of the folder, and those that pods make.
  void tell(std::map<std::string, kube::EndpointSlice> slices,
            ObjectBatch batch = {.objects = {}, .nodes = {}, .synced = true}) {
    for (const auto& [key, service] : services_) {
      for (auto& slice : derive_slices(service, pods_, node_name_)) {
        auto name = kube::full_name(slice.metadata);
        slices.try_emplace(std::move(name), std::move(slice));  // one of the folder's by this name is its author's word
      }
    }
    difference(slices_, slices, batch.objects.slices, batch.objects.removed_slices);
    slices_ = std::move(slices);
    take_(std::move(batch));
  }

  std::string node_name_;
  std::map<std::string, kube::Service> services_;
  std::map<std::string, kube::EndpointSlice> of_folder_;
  std::map<std::string, kube::EndpointSlice> slices_;  // as told: with those of pods
  std::map<std::string, kube::Node> nodes_;
  std::map<std::string, kube::Pod> pods_;
  std::vector<kube::SourceProblem> told_;
  std::function<void(ObjectBatch)> take_;
  kube::FolderSource source_;
};

}  // namespace

std::unique_ptr<LocalSource> folder_source(Loop& loop, std::string path, std::string node_name) {
  return std::make_unique<Folder>(loop, std::move(path), std::move(node_name));
}

}  // namespace keelson::network
