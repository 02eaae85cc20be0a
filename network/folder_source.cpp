// SPDX-License-Identifier: Apache-2.0
#include "common/log.h"
#include "kube/folder/manifest_folder.h"
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

class Folder : public ObjectSource {
 public:
  Folder(Loop& loop, std::string path)
      : source_(loop, std::move(path), [this](kube::DesiredState state) { changed(std::move(state)); }) {}

  Task<> run(std::function<void(ObjectBatch)> take) override {
    take_ = std::move(take);
    co_return co_await source_.run();
  }

 private:
  void changed(kube::DesiredState state) {
    for (const auto& problem : state.problems) {
      bool ours = problem.kind == "Service" || problem.kind == "EndpointSlice" || problem.kind.empty();
      if (ours && std::ranges::find(told_, problem) == told_.end()) {
        log::warning("{}", problem.text);
      }
    }
    told_ = std::move(state.problems);
    ObjectBatch batch{.objects = {}, .synced = true};
    difference(services_, state.services, batch.objects.services, batch.objects.removed_services);
    difference(slices_, state.endpoint_slices, batch.objects.slices, batch.objects.removed_slices);
    services_ = std::move(state.services);
    slices_ = std::move(state.endpoint_slices);
    take_(std::move(batch));
  }

  std::map<std::string, kube::Service> services_;
  std::map<std::string, kube::EndpointSlice> slices_;
  std::vector<kube::SourceProblem> told_;
  std::function<void(ObjectBatch)> take_;
  kube::FolderSource source_;
};

}  // namespace

std::unique_ptr<ObjectSource> folder_source(Loop& loop, std::string path) {
  return std::make_unique<Folder>(loop, std::move(path));
}

}  // namespace keelson::network
