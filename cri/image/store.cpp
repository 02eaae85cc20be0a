// SPDX-License-Identifier: Apache-2.0
// The index in memory and on disk, and layers made once.
#include "cri/image/store.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <thread>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "common/atomic_file.h"
#include "common/log.h"
#include "cri/image/digest.h"
#include "cri/image/reference.h"

namespace keelson::cri::image {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr int kIndexVersion = 1;

json::array to_json(const std::vector<std::string>& list) {
  json::array out;
  for (const auto& item : list) {
    out.emplace_back(item);
  }
  return out;
}

std::vector<std::string> texts(const json::object& object, std::string_view key) {
  std::vector<std::string> out;
  if (const auto* list = object.if_contains(key); list != nullptr && list->is_array()) {
    for (const auto& item : list->get_array()) {
      out.emplace_back(item.get_string());
    }
  }
  return out;
}

json::object to_json(const StoredImage& image) {
  json::object labels;
  for (const auto& [key, value] : image.config.labels) {
    labels[key] = value;
  }
  const auto& config = image.config;
  return {{"id", image.id},
          {"tags", to_json(image.tags)},
          {"digests", to_json(image.digests)},
          {"size", image.size},
          {"entrypoint", to_json(config.entrypoint)},
          {"command", to_json(config.command)},
          {"env", to_json(config.env)},
          {"volumes", to_json(config.volumes)},
          {"workingDir", config.working_dir},
          {"user", config.user},
          {"stopSignal", config.stop_signal},
          {"labels", labels},
          {"diffIds", to_json(config.diff_ids)}};
}

std::string text(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

uint64_t number(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<uint64_t>() : 0;
}

StoredImage image_from_json(const json::object& object) {
  StoredImage image{.id = text(object, "id"),
                    .tags = texts(object, "tags"),
                    .digests = texts(object, "digests"),
                    .size = number(object, "size"),
                    .config = {}};
  auto& config = image.config;
  config.entrypoint = texts(object, "entrypoint");
  config.command = texts(object, "command");
  config.env = texts(object, "env");
  config.volumes = texts(object, "volumes");
  config.working_dir = text(object, "workingDir");
  config.user = text(object, "user");
  config.stop_signal = text(object, "stopSignal");
  config.diff_ids = texts(object, "diffIds");
  if (const auto* labels = object.if_contains("labels"); labels != nullptr && labels->is_object()) {
    for (const auto& [key, value] : labels->get_object()) {
      config.labels[std::string(key)] = std::string(value.get_string());
    }
  }
  return image;
}

void take_name(std::vector<std::string>& names, const std::string& name) {
  std::erase(names, name);
}

}  // namespace

std::string ImageStore::layer_path(const std::string& diff_id) const {
  return options_.root + "/layers/" + diff_id.substr(7);
}

Result<std::unique_ptr<ImageStore>> ImageStore::open(Options options) {
  std::unique_ptr<ImageStore> store(new ImageStore(std::move(options)));
  const auto& root = store->options_.root;
  // Of foreign layers a user of the node must reach neither programs that run as root nor device nodes
  // (CVE-2021-41103). Containers do, through overlayfs, which looks with the rights of who mounted it.
  KEELSON_DO(make_private_directory(root));
  KEELSON_DO(make_directories(root + "/layers", 0700));
  KEELSON_DO(remove_tree(root + "/tmp"));
  KEELSON_DO(make_directories(root + "/tmp", 0700));
  remove_unfinished(root);
  KEELSON_DO(store->read_index());
  return store;
}

void ImageStore::remove_unused() {
  std::lock_guard lock(mutex_);
  remove_unused_locked();
}

Result<> ImageStore::read_index() {
  auto content = read_file(options_.root + "/index.json");
  if (!content) {
    return content.error().kind() == Kind::not_found ? Result<>()
                                                     : Result<>(std::unexpected(std::move(content).error()));
  }
  try {
    auto value = json::parse(*content);
    const auto& object = value.as_object();
    if (object.at("version").as_int64() != kIndexVersion) {
      return fail(Kind::unsupported, "{}/index.json: version {} is not known here", options_.root,
                  object.at("version").as_int64());
    }
    for (const auto& item : object.at("images").as_array()) {
      auto image = image_from_json(item.as_object());
      images_[image.id] = image;
    }
    for (const auto& [diff_id, bytes] : object.at("layers").as_object()) {
      layer_bytes_[std::string(diff_id)] = bytes.to_number<uint64_t>();
    }
  } catch (const std::exception& error) {
    return fail(Kind::internal, "{}/index.json is damaged ({}); move it away to start with no images", options_.root,
                error.what());
  }
  return {};
}

Result<> ImageStore::write_index_locked() const {
  json::array images;
  for (const auto& [id, image] : images_) {
    images.push_back(to_json(image));
  }
  json::object layers;
  for (const auto& [diff_id, bytes] : layer_bytes_) {
    layers[diff_id] = bytes;
  }
  json::object index{{"version", kIndexVersion}, {"images", images}, {"layers", layers}};
  return write_file_atomic(options_.root + "/index.json", json::serialize(index), 0600, Durability::power);
}

/// Images without a name and a holder go, then layers without an image, then folders that nobody knows.
void ImageStore::remove_unused_locked() {
  std::erase_if(images_, [&](const auto& entry) {
    bool held =
        std::any_of(holders_.begin(), holders_.end(), [&](const auto& h) { return h.second.contains(entry.first); });
    return entry.second.tags.empty() && entry.second.digests.empty() && !held;
  });
  std::set<std::string> wanted;
  for (const auto& [id, image] : images_) {
    wanted.insert(image.config.diff_ids.begin(), image.config.diff_ids.end());
  }
  std::erase_if(layer_bytes_, [&](const auto& entry) {
    return !wanted.contains(entry.first) && !layers_under_way_.contains(entry.first);
  });
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(options_.root + "/layers", ignored)) {
    auto diff_id = "sha256:" + entry.path().filename().string();
    if (!wanted.contains(diff_id) && !layers_under_way_.contains(diff_id)) {
      // Best effort: what is left is tried again at the next start.
      if (auto removed = remove_tree(entry.path()); !removed) {
        continue;
      }
    }
  }
}

std::vector<StoredImage> ImageStore::list() const {
  std::lock_guard lock(mutex_);
  std::vector<StoredImage> out;
  for (const auto& [id, image] : images_) {
    out.push_back(image);
  }
  return out;
}

const StoredImage* ImageStore::find_locked(const std::string& reference) const {
  if (auto found = images_.find(reference); found != images_.end()) {
    return &found->second;
  }
  if (auto found = images_.find("sha256:" + reference); found != images_.end()) {
    return &found->second;
  }
  auto parsed = parse_reference(reference);
  if (!parsed) {
    return nullptr;
  }
  std::string by_tag = parsed->name() + ":" + parsed->tag;
  std::string by_digest = parsed->name() + "@" + parsed->digest;
  for (const auto& [id, image] : images_) {
    const auto& names = parsed->digest.empty() ? image.tags : image.digests;
    if (std::find(names.begin(), names.end(), parsed->digest.empty() ? by_tag : by_digest) != names.end()) {
      return &image;
    }
  }
  return nullptr;
}

Result<StoredImage> ImageStore::find(const std::string& reference) const {
  std::lock_guard lock(mutex_);
  if (const auto* image = find_locked(reference)) {
    return *image;
  }
  return fail(Kind::not_found, "image {} is not on this node", reference);
}

std::vector<std::string> ImageStore::layer_dirs(const StoredImage& image) const {
  std::vector<std::string> dirs;
  for (auto it = image.config.diff_ids.rbegin(); it != image.config.diff_ids.rend(); ++it) {
    auto path = layer_path(*it);
    // One layer may be there twice (an empty one); overlayfs refuses that.
    if (std::find(dirs.begin(), dirs.end(), path) == dirs.end()) {
      dirs.push_back(path);
    }
  }
  return dirs;
}

Result<uint64_t> ImageStore::unpack(const std::string& diff_id, const std::function<Result<Fd>()>& open) {
  KEELSON_TRY(auto archive, open());
  std::string temporary = options_.root + "/tmp/layer-XXXXXX";
  if (::mkdtemp(temporary.data()) == nullptr) {
    return fail_errno(errno, "make a folder in {}/tmp", options_.root);
  }
  ::chmod(temporary.c_str(), 0755);
  auto unpacked = unpack_layer(archive.get(), temporary, options_.limits);
  Result<uint64_t> outcome =
      unpacked ? Result<uint64_t>(unpacked->bytes) : std::unexpected(std::move(unpacked).error());
  if (outcome && unpacked->diff_id != diff_id) {
    outcome = fail(Kind::invalid, "layer: its content is {}, but the image says {}", unpacked->diff_id, diff_id);
  }
  // The index, which names the layer, outlives a power cut: so must what is in the layer.
  if (outcome) {
    const auto folder = open_file(temporary, O_RDONLY | O_DIRECTORY);
    if (!folder || ::syncfs(folder->get()) < 0) {
      outcome = folder ? fail_errno(errno, "bring layer {} to the disk", diff_id) : std::unexpected(folder.error());
    }
  }
  if (outcome && ::rename(temporary.c_str(), layer_path(diff_id).c_str()) < 0) {
    outcome = fail_errno(errno, "store layer {}", diff_id);
  }
  if (!outcome) {
    if (auto removed = remove_tree(temporary); !removed) {
      return std::unexpected(std::move(outcome).error().with_context(removed.error().message()));
    }
  }
  return outcome;
}

Result<uint64_t> ImageStore::ensure_layer(const std::string& diff_id, const std::function<Result<Fd>()>& open) {
  std::promise<Result<uint64_t>> promise;
  std::shared_future<Result<uint64_t>> flight;
  bool ours = false;
  {
    std::lock_guard lock(mutex_);
    if (auto have = layer_bytes_.find(diff_id); have != layer_bytes_.end() && fs::exists(layer_path(diff_id))) {
      return have->second;
    }
    auto found = flights_.find(diff_id);
    ours = found == flights_.end();
    if (ours) {
      flight = flights_[diff_id] = promise.get_future().share();
    } else {
      flight = found->second;
    }
  }
  if (ours) {
    auto outcome = unpack(diff_id, open);
    std::lock_guard lock(mutex_);
    if (outcome) {
      layer_bytes_[diff_id] = *outcome;
    }
    flights_.erase(diff_id);
    promise.set_value(std::move(outcome));
  }
  return flight.get();
}

Result<StoredImage> ImageStore::add(NewImage wanted) {
  StoredImage image{.id = wanted.id, .tags = wanted.tags, .digests = wanted.digests, .size = 0, .config = {}};
  if (sha256_of(wanted.config_text) != wanted.id) {
    return fail(Kind::invalid, "image config: its digest is {}, not {}", sha256_of(wanted.config_text), wanted.id);
  }
  KEELSON_TRY(image.config, parse_config(wanted.config_text));
  const auto& diff_ids = image.config.diff_ids;
  {
    std::lock_guard lock(mutex_);
    for (const auto& diff_id : diff_ids) {
      ++layers_under_way_[diff_id];
    }
  }
  std::vector<Result<uint64_t>> outcomes(diff_ids.size(), Result<uint64_t>(0));
  {
    std::atomic<size_t> next = 0;
    auto work = [&] {
      for (size_t i = next++; i < diff_ids.size(); i = next++) {
        outcomes[i] = ensure_layer(diff_ids[i], [&, i] { return wanted.open_layer(i); });
      }
    };
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < std::min(options_.parallel_layers, diff_ids.size()); ++i) {
      helpers.emplace_back(work);
    }
    work();
  }
  std::lock_guard lock(mutex_);
  for (const auto& diff_id : diff_ids) {
    if (--layers_under_way_[diff_id] == 0) {
      layers_under_way_.erase(diff_id);
    }
  }
  for (auto& outcome : outcomes) {
    if (!outcome) {
      remove_unused_locked();
      return std::unexpected(std::move(outcome).error());
    }
    image.size += *outcome;
  }
  for (auto& [id, other] : images_) {
    for (const auto& tag : image.tags) {
      take_name(other.tags, tag);
    }
  }
  if (auto known = images_.find(image.id); known != images_.end()) {
    for (auto [from, to] :
         {std::pair{&known->second.tags, &image.tags}, std::pair{&known->second.digests, &image.digests}}) {
      for (const auto& name : *from) {
        take_name(*to, name);
        to->push_back(name);
      }
    }
  }
  images_[image.id] = image;
  remove_unused_locked();
  KEELSON_DO(write_index_locked());
  return image;
}

Result<> ImageStore::remove(const std::string& reference) {
  std::lock_guard lock(mutex_);
  const auto* found = find_locked(reference);
  if (found == nullptr) {
    return {};
  }
  auto& image = images_[found->id];
  image.tags.clear();
  image.digests.clear();
  remove_unused_locked();
  return write_index_locked();
}

Result<StoredImage> ImageStore::hold(const std::string& reference, const std::string& user) {
  std::lock_guard lock(mutex_);
  const auto* image = find_locked(reference);
  if (image == nullptr) {
    return fail(Kind::not_found, "image {} is not on this node", reference);
  }
  holders_[user].insert(image->id);
  return *image;
}

void ImageStore::release(const std::string& user) {
  std::lock_guard lock(mutex_);
  auto found = holders_.find(user);
  if (found == holders_.end()) {
    return;
  }
  const auto ids = std::move(found->second);
  holders_.erase(found);
  const bool nameless = std::ranges::any_of(ids, [&](const auto& id) {
    const auto image = images_.find(id);
    return image != images_.end() && image->second.tags.empty() && image->second.digests.empty();
  });
  if (nameless) {
    remove_unused_locked();
    if (auto written = write_index_locked(); !written) {
      log::warning("forget images: {}; the next start tries again", written.error().message());
    }
  }
}

Result<Fd> ImageStore::make_temporary() const {
  return open_file(options_.root + "/tmp", O_TMPFILE | O_RDWR, 0600);
}

ImageStore::Usage ImageStore::usage() const {
  std::lock_guard lock(mutex_);
  Usage usage;
  for (const auto& [diff_id, bytes] : layer_bytes_) {
    usage.bytes += bytes;
  }
  usage.inodes = layer_bytes_.size();
  return usage;
}

}  // namespace keelson::cri::image
