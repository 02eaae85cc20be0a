// SPDX-License-Identifier: Apache-2.0
// Two states to one.
#include "kube/folder/manifest_source.h"

#include <fmt/format.h>

namespace keelson::kube {

using namespace asio::experimental::awaitable_operators;

struct ManifestSource::State {
  void tell() const {
    DesiredState state = of_folder.value_or(DesiredState());
    for (const auto& [key, pod] : of_url ? of_url->pods : std::map<std::string, Pod>()) {
      if (state.pods.emplace(key, pod).second) {
        state.of_url.insert(key);
      } else {
        state.problems.push_back(
            {.warning = false,
             .text = fmt::format("staticPodURL: Pod {} is already defined in the folder; this one is ignored", key),
             .file = "staticPodURL",
             .kind = "Pod",
             .ns = pod.metadata.ns,
             .name = pod.metadata.name});
      }
    }
    if (of_url) {
      state.config_maps.insert(of_url->config_maps.begin(), of_url->config_maps.end());
      state.secrets.insert(of_url->secrets.begin(), of_url->secrets.end());
      state.problems.insert(state.problems.end(), of_url->problems.begin(), of_url->problems.end());
    }
    state.complete = (!folder || of_folder) && (!url || of_url);
    changed(std::move(state));
  }

  std::function<void(DesiredState)> changed;
  std::optional<DesiredState> of_folder;
  std::optional<DesiredState> of_url;
  std::optional<FolderSource> folder;
  std::optional<UrlSource> url;
};

ManifestSource::ManifestSource(Loop& loop, std::string folder, ManifestUrl url,
                               std::function<void(DesiredState)> changed, UrlSource::Fetch ask)
    : state_(std::make_unique<State>()) {
  State* s = state_.get();
  s->changed = std::move(changed);
  if (!folder.empty()) {
    s->folder.emplace(loop, std::move(folder), [s](DesiredState state) {
      s->of_folder = std::move(state);
      s->tell();
    });
  }
  if (!url.url.empty()) {
    s->url.emplace(
        loop, std::move(url),
        [s](DesiredState state) {
          s->of_url = std::move(state);
          s->tell();
        },
        std::move(ask));
  }
}

ManifestSource::~ManifestSource() = default;

Task<> ManifestSource::run() {
  State& s = *state_;
  if (s.folder && s.url) {
    auto [one, other] = co_await (s.folder->run() && s.url->run());
    co_return one ? std::move(other) : std::move(one);
  }
  if (s.folder) {
    co_return co_await s.folder->run();
  }
  if (s.url) {
    co_return co_await s.url->run();
  }
  co_return Result<>();
}

}  // namespace keelson::kube
