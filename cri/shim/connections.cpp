// SPDX-License-Identifier: Apache-2.0
// connections.h.
#include "cri/shim/connections.h"

#include <sys/socket.h>

namespace keelson::cri::shim {

Connections::Connections(Listener listener, Poller& poller) : listener_(std::move(listener)), poller_(poller) {
  door_ = poller_.watch(listener_.fd(), Source::listener, 0);
}

void Connections::accept_one() {
  Fd socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket) {
    auto number = ++last_number_;
    auto& connection = connections_[number];
    connection.socket = std::move(socket);
    connection.watch = poller_.watch(connection.socket.get(), Source::connection, number);
  }
}

void Connections::hear(uint32_t number, const std::function<void(Frame)>& take) {
  auto found = connections_.find(number);
  if (found == connections_.end()) {
    return;
  }
  auto more = found->second.reader.fill(found->second.socket.get());
  while (more) {
    auto frame = found->second.reader.next();
    if (!frame || !*frame) {
      more = frame ? std::move(more) : Result<bool>(false);
      break;
    }
    take(std::move(**frame));
    if (!connections_.contains(number)) {
      return;
    }
  }
  if (!more || !*more) {
    connections_.erase(found);
  }
}

void Connections::send_rest(uint32_t number) {
  if (auto found = connections_.find(number); found != connections_.end() && !flush(found)) {
    connections_.erase(found);
  }
}

void Connections::reply(uint32_t number, Result<Answer> answer) {
  auto found = connections_.find(number);
  if (found == connections_.end()) {
    return;
  }
  Reply message;
  std::vector<Fd> fds;
  if (answer) {
    message.statuses = std::move(answer->statuses);
    if (answer->fd) {
      fds.push_back(std::move(answer->fd));
    }
  } else {
    message.ok = false;
    message.error_kind = static_cast<uint32_t>(answer.error().kind());
    message.error_code = answer.error().code();
    message.error = answer.error().message();
  }
  if (!send(found, frame_bytes(FrameType::reply, encode(message)), std::move(fds))) {
    connections_.erase(found);
  }
}

void Connections::subscribe(uint32_t number) {
  if (auto found = connections_.find(number); found != connections_.end()) {
    found->second.subscribed = true;
  }
}

void Connections::publish(const ProcessStatus& status) {
  const auto bytes = frame_bytes(FrameType::event, encode(Event{.status = status}));
  for (auto entry = connections_.begin(); entry != connections_.end();) {
    const bool gone = entry->second.subscribed && !send(entry, bytes, {});
    entry = gone ? connections_.erase(entry) : std::next(entry);
  }
}

bool Connections::send(Entry entry, std::string bytes, std::vector<Fd> fds) {
  auto& connection = entry->second;
  // One message is always taken, however large.
  if (!connection.unsent.empty() && connection.unsent_bytes + bytes.size() > kMostUnsent) {
    return false;
  }
  connection.unsent_bytes += bytes.size();
  connection.unsent.push_back({.bytes = std::move(bytes), .fds = std::move(fds)});
  return flush(entry);
}

bool Connections::flush(Entry entry) {
  auto& [number, connection] = *entry;
  while (!connection.unsent.empty()) {
    auto& first = connection.unsent.front();
    std::vector<int> fds;
    for (const auto& fd : first.fds) {
      fds.push_back(fd.get());
    }
    auto sent = send_some(connection.socket.get(), first.bytes, fds);
    if (!sent) {
      return false;
    }
    if (*sent == 0) {
      break;
    }
    first.fds.clear();
    first.bytes.erase(0, *sent);
    connection.unsent_bytes -= *sent;
    if (first.bytes.empty()) {
      connection.unsent.pop_front();
    }
  }
  if (std::exchange(connection.waits_for_room, !connection.unsent.empty()) != connection.waits_for_room) {
    poller_.watch_room(connection.socket.get(), Source::connection, number, connection.waits_for_room);
  }
  return true;
}

}  // namespace keelson::cri::shim
