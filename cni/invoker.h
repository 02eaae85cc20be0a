// SPDX-License-Identifier: Apache-2.0
// Runs a chain of CNI plugins for a container, any plugins: what libcni is to containerd.
//
// ADD goes forward through the chain, each plugin getting the result of the one before; DEL goes backward with the
// configuration and result that ADD left in the cache, so that a changed configuration file never strands a container.
// The loopback link is raised by us before the chain.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "cni/conflist.h"
#include "cni/types.h"

namespace keelson::cni {

/// Thread-safe: one call at a time a container, GC alone.
class Invoker {
 public:
  struct Options {
    std::string conf_dir = "/etc/cni/net.d";
    std::vector<std::string> bin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
    std::string cache_dir = "/var/lib/cni";      ///< results/<network>-<container>-<interface>, mode 0600
    std::chrono::milliseconds deadline{60'000};  ///< of each plugin
  };
  explicit Invoker(Options options);

  /// Whether containers can get a network now, with these capability arguments. Kind::unavailable: "cni plugin not
  /// initialized: ..." (no configuration), what a plugin's STATUS says, or that a plugin takes its ranges of addresses
  /// from the runtime (capability ipRanges), has none of its own, and `capability_args` has none either.
  Result<> ready(const boost::json::object& capability_args = {}) const;

  /// On failure what was done is undone by DEL, and the error holds the plugin's name, code, message and details.
  /// Nothing is begun while a plugin lacks its ranges, as in ready().
  Result<Outcome> add(const Attachment& attachment);
  /// Nothing there is success. Without a cached result the present configuration is used; without either it is success.
  Result<> del(const Attachment& attachment);
  /// Kind::not_found if there was no ADD.
  Result<> check(const Attachment& attachment);
  /// DEL for every cached attachment that is not in `valid`, then GC of plugins that know it. Goes on over errors; the
  /// first one is given.
  Result<> collect_garbage(const std::vector<Attachment>& valid);

 private:
  struct Cached;
  Result<NetworkList> load() const;
  std::string cache_path(const std::string& network, const Attachment& attachment) const;
  Result<Cached> read_cache(const std::string& path) const;
  Result<Cached> find_cached(const Attachment& attachment) const;
  Result<boost::json::value> run_plugin(const std::string& verb, const NetworkList& list, const PluginEntry& plugin,
                                        const Attachment& attachment, const boost::json::value& previous,
                                        const boost::json::value* valid_attachments = nullptr) const;
  Result<> del_chain(const NetworkList& list, const Attachment& attachment, const boost::json::value& result) const;
  std::shared_ptr<std::mutex> container_lock(const std::string& id);

  Options options_;
  std::shared_mutex everything_;  // shared by all verbs, exclusive to GC
  std::mutex locks_mutex_;
  std::map<std::string, std::weak_ptr<std::mutex>> locks_;
};

}  // namespace keelson::cni
