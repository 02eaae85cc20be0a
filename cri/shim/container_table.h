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
  /// The same by the OCI runtime that has made the container, answered later.
  Result<> signal_by_runtime(uint32_t number, const Request& request);
  bool is_made_by_runtime(const Request& request) const;
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
  void take_ready(Container& container, Process& process, ChildMessage& ready);
  void failed(Container& container, Process& process, const Error& error);
  void answer_waiting(Process& process, int fd);
  void refuse_waiting(Process& process, const Error& error);

  void ended(pid_t pid, int status);
  bool known_ended(pid_t pid, int status);
  void process_ended(Container& container, Process& process, int status);
  bool hear_last_words(Container& container, Process& process);
  void note_exit(Container& container, const ProcessStatus& status);
  Result<> kill_all(const std::string& id);

  // An OCI runtime at work for a container (container_calls.cpp): create, start, exec and kill.
  struct Call {
    Child child;
    Poller::Watch watch{};
    Verb verb = Verb::state;
    uint32_t number = 0;  ///< the connection that waits
    std::string container_id{};
    std::string exec_id{};
    int signal = 0;
  };
  Result<> create_by_runtime(uint32_t number, std::unique_ptr<Container> container, ChildStdio stdio);
  Result<> start_by_runtime(uint32_t number, const Container& container);
  Result<> exec_by_runtime(uint32_t number, Container& container, const Request& request, ChildStdio stdio);
  bool is_being_started(const std::string& id) const;
  void watch_call(Call call);
  void hear_call(int channel);
  void call_ended(const Call& call, Result<Fd> outcome);
  Result<Answer> adopt_created(const Call& call, Result<Fd> outcome);
  Result<Answer> adopt_started(const Call& call, const Result<Fd>& outcome);
  Result<Answer> adopt_exec(const Call& call, Result<Fd> outcome);
  Result<Answer> signal_sent(const Call& call, const Result<Fd>& outcome);
  /// An exit of somebody whom a call under way may be about: it counts when that has ended.
  bool waits_for_call(pid_t pid) const;
  void settle_exits();
  void abort_calls(const std::string& container_id);
  Result<> delete_by_runtime(const ContainerSpec& spec);

  Sandbox& sandbox_;
  Poller& poller_;
  Connections& connections_;
  std::map<std::string, std::unique_ptr<Container>> containers_;
  std::map<int, Call> calls_;         ///< by the channel's descriptor
  std::map<pid_t, int> early_exits_;  ///< status as of waitpid
};

}  // namespace keelson::cri::shim
