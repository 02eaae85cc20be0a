// SPDX-License-Identifier: Apache-2.0
// Manifest, config, layers; and one flight a reference.
#include "cri/image/pull.h"

#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <mutex>

#include "cri/image/digest.h"
#include "cri/image/hosts.h"
#include "cri/image/reference.h"
#include "cri/image/registry.h"

namespace keelson::cri::image {

namespace {

using Repositories = std::vector<std::unique_ptr<Repository>>;

/// The first host's answer that is one; or all hosts' errors as one, of the last's kind.
template <class Ask>
auto first_answer(const Repositories& hosts, bool by_digest, Ask ask) -> decltype(ask(*hosts.front())) {
  Error failed(Kind::unavailable, "no host may be asked: see capabilities in hosts.toml");
  std::string texts;
  for (const auto& repository : hosts) {
    if (!(by_digest ? repository->host().pull : repository->host().resolve)) {
      continue;
    }
    auto out = ask(*repository);
    if (out || out.error().kind() == Kind::exhausted) {
      return out;
    }
    texts += (texts.empty() ? "" : "; ") + out.error().message();
    failed = Error(out.error().kind(), texts, out.error().code());
  }
  return std::unexpected(std::move(failed));
}

/// The manifest for this machine, and the digest of what the reference names (an index, maybe).
Result<Manifest> find_manifest(const Repositories& hosts, const Reference& reference, std::string& digest) {
  auto get = [&](const std::string& version) {
    return first_answer(hosts, valid_digest(version), [&](Repository& host) { return host.manifest(version); });
  };
  KEELSON_TRY(auto document, get(reference.version()));
  digest = document.digest;
  KEELSON_TRY(auto parsed, parse_manifest(document.text, this_architecture()));
  if (parsed.index) {
    KEELSON_TRY(document, get(parsed.chosen.digest));
    KEELSON_TRY(parsed, parse_manifest(document.text, this_architecture()));
  }
  if (parsed.index) {
    return fail(Kind::invalid, "manifest {}: an index in an index", document.digest);
  }
  return parsed.manifest;
}

Result<StoredImage> pull(ImageStore& store, const Reference& reference, const Credentials& credentials,
                         const PullOptions& options) {
  KEELSON_TRY(auto places, hosts_for(options.config_dir, reference.registry));
  auto deadline = std::chrono::steady_clock::now() + options.deadline;
  Repositories hosts;
  for (auto& place : places) {
    hosts.push_back(std::make_unique<Repository>(std::move(place), reference.repository, credentials, deadline));
  }
  std::string digest;
  KEELSON_TRY(auto manifest, find_manifest(hosts, reference, digest));
  NewImage image;
  image.id = manifest.config.digest;
  image.digests.push_back(reference.name() + "@" + digest);
  if (reference.digest.empty()) {
    image.tags.push_back(reference.text());
  }
  KEELSON_TRY(image.config_text,
              first_answer(hosts, true, [&](Repository& host) { return host.blob(manifest.config.digest); }));
  KEELSON_TRY(auto config, parse_config(image.config_text));
  if (config.diff_ids.size() != manifest.layers.size()) {
    return fail(Kind::invalid, "the manifest has {} layers, the config {}", manifest.layers.size(),
                config.diff_ids.size());
  }
  image.open_layer = [&](size_t i) {
    return first_answer(hosts, true, [&](Repository& host) -> Result<Fd> {
      KEELSON_TRY(auto file, store.make_temporary());
      KEELSON_DO(host.download(manifest.layers[i], file.get()));
      if (::lseek(file.get(), 0, SEEK_SET) < 0) {
        return fail_errno(errno, "read blob {}", manifest.layers[i].digest);
      }
      return file;
    });
  };
  return store.add(std::move(image));
}

/// Pulls under way, of all stores.
class Flights {
 public:
  template <class Fly>
  Result<StoredImage> join(const std::string& key, Fly fly) {
    std::promise<Result<StoredImage>> promise;
    {
      std::unique_lock lock(mutex_);
      if (auto found = flights_.find(key); found != flights_.end()) {
        auto flight = found->second;
        lock.unlock();
        return flight.get();
      }
      flights_[key] = promise.get_future().share();
    }
    auto out = fly();
    {
      std::lock_guard lock(mutex_);
      flights_.erase(key);
    }
    promise.set_value(out);
    return out;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_future<Result<StoredImage>>> flights_;
};

/// Who may not pull an image must not get it by asking while another pulls it.
std::string flight_key(const ImageStore& store, const Reference& reference, const Credentials& credentials) {
  std::string secrets;
  for (const auto* part : {&credentials.username, &credentials.password, &credentials.auth, &credentials.identity_token,
                           &credentials.registry_token}) {
    secrets += std::to_string(part->size()) + ":" + *part;
  }
  return store.root() + " " + reference.text() + " " + sha256_of(secrets);
}

}  // namespace

Result<StoredImage> pull_image(ImageStore& store, const std::string& reference, const Credentials& credentials,
                               const PullOptions& options) {
  static Flights flights;
  KEELSON_TRY(auto parsed, parse_reference(reference));
  return flights.join(flight_key(store, parsed, credentials), [&] { return pull(store, parsed, credentials, options); })
      .context("pull {}", parsed.text());
}

}  // namespace keelson::cri::image
