// SPDX-License-Identifier: Apache-2.0
// The containers of one sandbox and what can be done with them.
//
//   create --(channel: ready)--> created --start--(channel: end of file)--> running --(SIGCHLD)--> exited --remove-->
//
// Making a process takes a while: create, start and exec answer later, when the child's channel has told how it went.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cri/shim/connections.h"
#include "cri/shim/container.h"
#include "cri/shim/sandbox.h"

namespace keelson::cri::shim {

/// Belongs to the loop's thread. An error of a request leaves everything as it was, unless the request says otherwise.
class ContainerTable {
 public:
  ContainerTable(Sandbox& sandbox, Poller& poller, Connections& connections)
      : sandbox_(sandbox), poller_(poller), connections_(connections) {}

  // Requests that are answered later, to the connection `number`, if they do not fail at once.
  Result<> create(uint32_t number, ContainerSpec spec);
  Result<> start(uint32_t number, const std::string& id);
  Result<> exec(uint32_t number, Request& request, std::vector<Fd>& fds);

  Result<> signal(const Request& request);
  /// The answer's descriptor is the terminal or standard input, if the request wants one.
  Result<Answer> attach(const Request& request, std::vector<Fd>& fds);
  Result<> resize(const Request& request);
  Result<> reopen_log(const std::string& id);
  Answer state() const;
  /// Kills what is left of it first. Kind::timeout if it does not die: then it stays, dead or dying, and can be removed
  /// again.
  Result<> remove(const std::string& id);
  /// Every container; those that do not die stay, and the error is of the last of them.
  Result<> remove_all();

  /// The child's channel `fd` has something to tell.
  void hear_channel(int fd);
  /// A container has written.
  void pump(int fd);
  /// Some children have ended.
  void reap();

 private:
  Result<Container*> find(const std::string& id);
  Result<Process*> find_process(const Request& request);
  Result<ChildStdio> make_streams(Container& container);
  void give_to_root(const ChildStdio& stdio) const;
  void await(Process& process, uint32_t number, Verb verb);
  Process* process_of_channel(int channel, Container*& owner);
  static void adopt(Process& process, ChildMessage& born);
  void failed(Container& container, Process& process, const Error& error);
  void answer_waiting(Process& process, int fd);
  void refuse_waiting(Process& process, const Error& error);

  void ended(pid_t pid, int status);
  bool known_ended(pid_t pid, int status);
  void process_ended(Container& container, Process& process, int status);
  bool hear_last_words(Process& process);
  void note_exit(Container& container, const ProcessStatus& status);
  Result<> kill_all(const std::string& id);

  Sandbox& sandbox_;
  Poller& poller_;
  Connections& connections_;
  std::map<std::string, std::unique_ptr<Container>> containers_;
};

}  // namespace keelson::cri::shim
