// SPDX-License-Identifier: Apache-2.0
// The images of this node.
//
//   <root>/index.json      names and images; replaced whole, a power cut leaves the old or the new one
//   <root>/layers/<hex>/   an unpacked layer by the digest of its plain archive; made under tmp/ and renamed when whole
//   <root>/tmp/            what is under way; emptied at start
//
// A layer is there once however many images have it. It goes when no image has it and no container holds an image that
// has it.
#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/fd.h"
#include "cri/image/manifest.h"
#include "cri/image/unpack.h"

namespace keelson::cri::image {

/// One image as the store knows it.
struct StoredImage {
  std::string id;                    ///< digest of its config
  std::vector<std::string> tags;     ///< "docker.io/library/mysql:8"
  std::vector<std::string> digests;  ///< "docker.io/library/mysql@sha256:..."
  uint64_t size = 0;                 ///< bytes of its files, unpacked
  Config config;
};

/// A new image's parts: where its layers are to be had.
struct NewImage {
  std::string id;
  std::string config_text;
  std::vector<std::string> tags;
  std::vector<std::string> digests;
  /// Opens the archive of the i-th layer (bottom first) as a file at its start; called only for layers that are not
  /// there, from several threads at once.
  std::function<Result<Fd>(size_t index)> open_layer;
};

/// Thread-safe.
class ImageStore {
 public:
  struct Options {
    std::string root;
    UnpackLimits limits;
    size_t parallel_layers = 3;
  };
  /// Makes the folders, reads the index, removes downloads that an earlier run left. The holders are not known yet:
  /// they tell again by hold(), and then comes remove_unused().
  static Result<std::unique_ptr<ImageStore>> open(Options options);
  /// Nameless images that nobody holds go, and folders that no image knows.
  void remove_unused();

  std::vector<StoredImage> list() const;
  /// By id (whole or without "sha256:"), tag, digest or any spelling of those. Kind::not_found names it.
  Result<StoredImage> find(const std::string& reference) const;
  /// Folders for overlayfs, top first.
  std::vector<std::string> layer_dirs(const StoredImage& image) const;

  /// Unpacks what is missing and records the image; a tag that another image has moves over. Every layer's diff id is
  /// checked.
  Result<StoredImage> add(NewImage image);
  /// Takes every name of the image away, and the image unless a container holds it. Not there is success.
  Result<> remove(const std::string& reference);

  /// The image stays, nameless if need be, while `user` holds it, and so do others that it holds. Not written down:
  /// whoever starts a container has a record of it that names the image, and holds again at the next start.
  Result<StoredImage> hold(const std::string& reference, const std::string& user);
  /// All that it holds.
  void release(const std::string& user);

  /// A new file below tmp/ for a download; its name goes with the call.
  Result<Fd> make_temporary() const;
  /// Bytes and inodes of all layers.
  struct Usage {
    uint64_t bytes = 0;
    uint64_t inodes = 0;
  };
  Usage usage() const;
  const std::string& root() const { return options_.root; }

 private:
  explicit ImageStore(Options options) : options_(std::move(options)) {}
  Result<> read_index();
  Result<> write_index_locked() const;
  void remove_unused_locked();
  Result<uint64_t> ensure_layer(const std::string& diff_id, const std::function<Result<Fd>()>& open);
  Result<uint64_t> unpack(const std::string& diff_id, const std::function<Result<Fd>()>& open);
  std::string layer_path(const std::string& diff_id) const;
  const StoredImage* find_locked(const std::string& reference) const;

  Options options_;
  mutable std::mutex mutex_;
  std::map<std::string, StoredImage> images_;             // by id
  std::map<std::string, std::set<std::string>> holders_;  // user to images' ids
  std::map<std::string, uint64_t> layer_bytes_;           // by diff id
  std::map<std::string, int> layers_under_way_;           // adds that need this layer: it must not be removed
  std::map<std::string, std::shared_future<Result<uint64_t>>> flights_;
};

}  // namespace keelson::cri::image
