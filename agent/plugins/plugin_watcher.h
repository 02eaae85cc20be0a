// SPDX-License-Identifier: Apache-2.0
// Plugins that present themselves by a socket in <root>/plugins_registry (kubelet pkg/kubelet/pluginmanager).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/loop.h"
#include "common/task_group.h"

namespace keelson::plugins {

struct Plugin {
  std::string type;  ///< "CSIPlugin", "DevicePlugin"
  std::string name;
  std::string endpoint;  ///< The socket that it works on.
  std::vector<std::string> versions;
};

/// Takes the plugins of one type.
class PluginHandler {
 public:
  virtual ~PluginHandler() = default;
  /// An error is told to the plugin, and the plugin asked again a while later.
  virtual Task<> plugin_registered(Plugin plugin) = 0;
  /// The socket that it registered by has gone.
  virtual void plugin_gone(const Plugin& plugin) = 0;
};

/// Belongs to one loop. A socket that is replaced is another plugin: the one before has gone.
class PluginWatcher {
 public:
  /// The handlers outlive it; they are by type.
  PluginWatcher(Loop& loop, std::string folder, std::map<std::string, PluginHandler*> handlers);

  /// Until cancelled. The folder is made.
  Task<> run();
  Task<> close();

 private:
  /// Which socket it is. Its inode alone does not say: a file system gives the number of what has gone to the next.
  struct SocketId {
    ino_t inode = 0;
    int64_t made_ns = 0;  // nobody writes to it afterwards; that others may use it changes another time
    bool operator==(const SocketId&) const = default;
  };
  struct Socket {
    SocketId id;
    Plugin plugin;  // its name is empty until it has told it
  };
  void scan();
  void gone(const Socket& socket);
  Task<> greet(std::string path, SocketId id);
  Task<> register_plugin(std::string path, SocketId id);
  bool is_there(const std::string& path, const SocketId& id) const;

  Loop& loop_;
  const std::string folder_;
  const std::map<std::string, PluginHandler*> handlers_;
  std::map<std::string, Socket> sockets_;  // by path
  TaskGroup tasks_;
};

}  // namespace keelson::plugins
