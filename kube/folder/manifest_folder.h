// SPDX-License-Identifier: Apache-2.0
// The manifest folder: YAML and JSON files as the wanted state of this node.
//
// A folder's files are read in the order of their names, dotfiles and editors' leavings (*~, *.swp, #x#) aside;
// symlinks are followed (so ConfigMap-style `..data` folders work), subfolders are not entered. What a bad file or
// document held in its last good version stays wanted: bad input never stops a running pod.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/loop.h"
#include "kube/codec.h"
#include "kube/objects.h"
#include "kube/pod.h"

namespace keelson::kube {

/// A wrong document or file, or a warning about one.
struct SourceProblem {
  bool warning = false;
  std::string text;  ///< "web.yaml:12: spec.containers[0].image: Required value".
  std::string file;
  /// The object it concerns, as far as known.
  std::string kind;
  std::string ns;
  std::string name;
  bool operator==(const SourceProblem&) const = default;
};

/// All that the source wants, as one value. Keys are "namespace/name".
struct DesiredState {
  std::map<std::string, Pod> pods;
  std::map<std::string, ConfigMap> config_maps;
  std::map<std::string, Secret> secrets;
  std::map<std::string, Service> services;
  std::map<std::string, EndpointSlice> endpoint_slices;
  std::map<std::string, Node> nodes;                    ///< By name alone.
  std::map<std::string, RuntimeClass> runtime_classes;  ///< By name alone.
  std::vector<SourceProblem> problems;
  /// False: a source has not told all it has yet, so that what is missing is not known to be unwanted.
  bool complete = true;
};

/// Reads a folder (or one file) and keeps what each file last held. No watching, no loop: for tests and for
/// FolderSource. Files are read again only when their identity (device, inode, size, times) changed.
class ManifestFolder {
 public:
  explicit ManifestFolder(std::string path);
  ~ManifestFolder();
  /// The state now. An unreadable folder (Kind of its errno) changes nothing. Of two objects of one kind and name the
  /// first in file order counts, and the other is a problem that names both files. Blocks on the disk.
  Result<DesiredState> scan();

 private:
  struct File;
  std::optional<File> read(const std::string& path);

  std::string path_;
  std::map<std::string, File> files_;
};

/// The pod's uid when its manifest gives none: an UUID made from a hash of its namespace, name and whole content, so
/// that the same manifest is the same pod for ever, and an edit is a new pod (the rule of static pods).
std::string manifest_uid(const Pod& pod);

/// Gives pods the overhead of their class, where their manifest has none: what the API server's admission does, for
/// pods that it does not see. Their uids stay.
void add_overheads(DesiredState& state);

/// Watches by inotify and hands over each new state. Belongs to one loop.
class FolderSource {
 public:
  /// `changed` is called on the loop, first with the state at the start. A missing folder is an empty one until it
  /// comes.
  FolderSource(Loop& loop, std::string path, std::function<void(DesiredState)> changed);
  ~FolderSource();
  /// Runs until cancelled. Changes are gathered for a few milliseconds; besides, the folder is read anew every 20 s and
  /// after an overflow of inotify's queue.
  Task<> run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::kube
