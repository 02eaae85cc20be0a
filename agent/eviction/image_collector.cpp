// SPDX-License-Identifier: Apache-2.0
#include "agent/eviction/image_collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "common/log.h"
#include "metrics/node_reader.h"

namespace keelson::agent {

namespace {

constexpr std::chrono::minutes kPeriod{5};  // the kubelet's ImageGCPeriod
constexpr std::chrono::seconds kAsk{10};
constexpr std::chrono::minutes kRemove{2};

}  // namespace

void ImageRecords::observe(const std::vector<cri::Image>& images, const std::vector<cri::ContainerStatus>& containers,
                           SteadyTime now) {
  std::set<std::string> used;
  for (const auto& container : containers) {
    used.insert({container.image_id, container.image_ref, container.image});
    for (const auto& mount : container.mounts) {
      used.insert(mount.image);
    }
  }
  std::map<std::string, ImageRecord> records;
  for (const auto& image : images) {
    auto known = records_.find(image.id);
    ImageRecord record = known != records_.end() ? known->second : ImageRecord{.id = image.id, .first_seen = now};
    const auto is_used = [&used](const std::string& name) { return used.contains(name); };
    record.size = image.size;
    record.pinned = image.pinned;
    record.used = is_used(image.id) || std::ranges::any_of(image.repo_tags, is_used) ||
                  std::ranges::any_of(image.repo_digests, is_used);
    if (record.used) {
      record.last_used = now;
    }
    records.emplace(image.id, std::move(record));
  }
  records_ = std::move(records);
}

std::vector<ImageRecord> ImageRecords::unused() const {
  std::vector<ImageRecord> found;
  for (const auto& [id, record] : records_) {
    if (!record.used && !record.pinned) {
      found.push_back(record);
    }
  }
  std::ranges::stable_sort(found, {}, [](const ImageRecord& record) {
    return std::pair(record.last_used.value_or(SteadyTime::min()), record.first_seen);
  });
  return found;
}

uint64_t bytes_to_free(const ImagePolicy& policy, uint64_t capacity, uint64_t available) {
  if (capacity == 0) {
    return 0;
  }
  available = std::min(available, capacity);
  const auto full = 100 - static_cast<int>(available * 100 / capacity);
  const uint64_t wanted = capacity / 100 * static_cast<uint64_t>(100 - policy.low_percent);
  return full >= policy.high_percent && policy.high_percent < 100 && wanted > available ? wanted - available : 0;
}

ImageCollector::ImageCollector(Loop& loop, cri::RuntimeClient& runtime, ImagePolicy policy,
                               std::function<void(const NodeEvent&)> record)
    : loop_(loop), runtime_(runtime), policy_(policy), record_(std::move(record)), began_(loop.clock().steady()) {}

Task<> ImageCollector::run() {
  while (true) {
    auto looked = co_await look();
    if (!looked && looked.error().kind() == Kind::cancelled) {
      co_return looked;
    }
    if (!looked && std::exchange(failing_, true)) {
      // The first time may be a runtime that begins.
      log::warning("remove unused images: {}", looked.error().message());
      record_({.warning = true, .reason = "ImageGCFailed", .message = looked.error().message()});
    }
    failing_ = failing_ && !looked;
    KEELSON_CO_DO(co_await loop_.sleep(kPeriod));
  }
}

/// With their mounts, which a list does not tell; they never change.
Task<std::vector<cri::ContainerStatus>> ImageCollector::containers() {
  KEELSON_CO_TRY(auto listed, co_await runtime_.list_containers({}, kAsk));
  std::map<std::string, std::vector<cri::Mount>> mounts;
  for (auto& container : listed) {
    auto known = mounts_.find(container.id);
    if (known != mounts_.end()) {
      container.mounts = std::move(known->second);
    } else {
      auto status = co_await runtime_.container_status(container.id, kAsk);
      if (!status && status.error().kind() != Kind::not_found) {
        co_return std::unexpected(std::move(status).error().with_context("get container status"));
      }
      container.mounts = status ? std::move(status->mounts) : std::vector<cri::Mount>();
    }
    mounts[container.id] = container.mounts;
  }
  mounts_ = std::move(mounts);
  co_return listed;
}

Task<std::vector<ImageRecord>> ImageCollector::unused() {
  KEELSON_CO_TRY(const auto images, co_await runtime_.list_images(kAsk));
  KEELSON_CO_TRY(const auto all, co_await containers());
  records_.observe(images, all, loop_.clock().steady());
  co_return records_.unused();
}

Task<> ImageCollector::look() {
  KEELSON_CO_TRY(auto images, co_await unused());
  KEELSON_CO_TRY(images, co_await remove_old(std::move(images)));
  KEELSON_CO_TRY(const auto store, co_await runtime_.image_store(kAsk));
  auto look = [path = store.mountpoint]() -> Result<metrics::DiskUse> { return metrics::disk_of(path); };
  KEELSON_CO_TRY(const auto disk, co_await blocking(disk_, std::move(look)));
  if (disk.capacity == 0) {
    const std::string text = "invalid capacity 0 on image filesystem";
    record_({.warning = true, .reason = "InvalidDiskCapacity", .message = text});
    co_return fail(Kind::internal, "{}", text);
  }
  const auto wanted = bytes_to_free(policy_, disk.capacity, disk.available);
  if (wanted == 0) {
    co_return Result<>();
  }
  log::info("the disk of images is over {} % full: {} bytes are to be freed", policy_.high_percent, wanted);
  KEELSON_CO_TRY(const auto freed, co_await remove(std::move(images), wanted));
  if (freed < wanted) {
    auto text = fmt::format(
        "Failed to garbage collect required amount of images. Attempted to free {} bytes, but only found {} bytes "
        "eligible to free.",
        wanted, freed);
    record_({.warning = true, .reason = "FreeDiskSpaceFailed", .message = text});
    co_return fail(Kind::exhausted, "{}", text);
  }
  co_return Result<>();
}

Task<std::vector<ImageRecord>> ImageCollector::remove_old(std::vector<ImageRecord> images) {
  const auto now = loop_.clock().steady();
  // What was used before we began is not known.
  if (policy_.maximum_age == Duration(0) || now - began_ <= policy_.maximum_age) {
    co_return images;
  }
  std::vector<ImageRecord> left;
  for (auto& image : images) {
    if (now - image.last_used.value_or(image.first_seen) <= policy_.maximum_age) {
      left.push_back(std::move(image));
      continue;
    }
    KEELSON_CO_DO(co_await runtime_.remove_image(image.id, kRemove));
    log::info("image {} is removed: nobody has used it for too long", image.id);
    ++removed_["age"];
  }
  co_return left;
}

Task<> ImageCollector::remove_unused() {
  KEELSON_CO_TRY(auto images, co_await unused());
  KEELSON_CO_DO(co_await remove(std::move(images), std::numeric_limits<uint64_t>::max()));
  co_return Result<>();
}

Task<uint64_t> ImageCollector::remove(std::vector<ImageRecord> images, uint64_t bytes) {
  uint64_t freed = 0;
  Result<> failure;
  for (const auto& image : images) {
    if (loop_.clock().steady() - image.first_seen < policy_.minimum_age) {
      continue;  // it may have been pulled for a container that is about to come
    }
    auto removed = co_await runtime_.remove_image(image.id, kRemove);
    if (!removed) {
      failure = std::unexpected(std::move(removed).error().with_context(fmt::format("remove image {}", image.id)));
      continue;
    }
    log::info("image {} is removed: {} bytes are freed", image.id, image.size);
    ++removed_["space"];
    freed += image.size;
    if (freed >= bytes) {
      break;
    }
  }
  if (!failure) {
    co_return std::unexpected(std::move(failure).error());
  }
  co_return freed;
}

void ImageCollector::collect(Stats& stats) const {
  for (const auto& [reason, count] : removed_) {
    stats.counter(
        "kubelet_image_garbage_collected_total",
        "[ALPHA] Total number of images garbage collected by the kubelet, whether through disk usage or image age.",
        static_cast<double>(count), {{"reason", reason}});
  }
}

}  // namespace keelson::agent
