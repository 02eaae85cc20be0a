// SPDX-License-Identifier: Apache-2.0
// process.h over posix_spawn(3).
#include "tests/support/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "common/fd.h"

extern char** environ;

namespace keelson::testing {

namespace {

std::vector<char*> c_words(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const auto& word : words) {
    out.push_back(const_cast<char*>(word.c_str()));
  }
  out.push_back(nullptr);
  return out;
}

int code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A file in memory that reads `text`.
int file_of(const std::string& text) {
  int file = ::memfd_create("input", MFD_CLOEXEC);
  if (::write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    ADD_FAILURE() << "write the input of a command";
  }
  ::lseek(file, 0, SEEK_SET);
  return file;
}

/// Both to their ends, whichever has something.
void read_both(int out, int error, Output* result) {
  pollfd fds[2] = {{out, POLLIN, 0}, {error, POLLIN, 0}};
  std::string* sinks[2] = {&result->out, &result->error};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (::poll(fds, 2, -1) < 0) {
      continue;  // EINTR
    }
    for (int i = 0; i < 2; ++i) {
      char buffer[8192];
      if (fds[i].fd >= 0 && fds[i].revents != 0) {
        ssize_t n = ::read(fds[i].fd, buffer, sizeof buffer);
        if (n > 0) {
          sinks[i]->append(buffer, static_cast<size_t>(n));
        } else {
          fds[i].fd = -1;
        }
      }
    }
  }
}

}  // namespace

std::string read_text(const std::string& path) {
  return read_file(path).value_or("");  // a stream would throw when a process ends while its file is read
}

Output run(const std::vector<std::string>& command, const std::string& input) {
  int out[2];
  int error[2];
  if (::pipe2(out, O_CLOEXEC) < 0 || ::pipe2(error, O_CLOEXEC) < 0) {
    return {.code = -1, .out = "", .error = "pipe failed"};
  }
  int in = file_of(input);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  ::posix_spawn_file_actions_adddup2(&actions, error[1], 2);
  pid_t pid = -1;
  auto words = c_words(command);
  int failed = ::posix_spawnp(&pid, words[0], &actions, nullptr, words.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in);
  ::close(out[1]);
  ::close(error[1]);
  Output result;
  if (failed == 0) {
    read_both(out[0], error[0], &result);
    int status = 0;
    ::waitpid(pid, &status, 0);
    result.code = code_of(status);
  } else {
    result = {.code = 127, .out = "", .error = ::strerror(failed)};
  }
  ::close(out[0]);
  ::close(error[0]);
  return result;
}

bool takes_connections(const std::string& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.copy(address.sun_path, sizeof address.sun_path - 1);
  int client = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool taken = ::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(client);
  return taken;
}

Background::Background(const std::vector<std::string>& command, const std::string& log_file) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  auto words = c_words(command);
  int failed = ::posix_spawnp(&pid_, words[0], &actions, nullptr, words.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    pid_ = -1;
    ADD_FAILURE() << command[0] << ": " << ::strerror(failed);
  }
}

Background& Background::operator=(Background&& other) noexcept {
  std::swap(pid_, other.pid_);
  return *this;
}

bool Background::alive() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) != 0) {
    pid_ = -1;
  }
  return pid_ > 0;
}

int Background::wait() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return code_of(status);
}

void Background::kill() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    wait();
  }
}

int Background::stop() {
  if (pid_ <= 0) {
    return 0;
  }
  ::kill(pid_, SIGTERM);
  return wait();
}

}  // namespace keelson::testing
