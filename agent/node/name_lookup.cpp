// SPDX-License-Identifier: Apache-2.0
#include "agent/node/name_lookup.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <mutex>
#include <thread>

namespace keelson::agent {

namespace {

constexpr Duration kPatience = std::chrono::seconds(1);
constexpr Duration kPause = std::chrono::milliseconds(10);

std::vector<std::string> look_up(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;  // each address once
  addrinfo* list = nullptr;
  if (::getaddrinfo(name.c_str(), nullptr, &hints, &list) != 0) {
    return {};
  }
  std::vector<std::string> found;
  for (const auto* item = list; item != nullptr; item = item->ai_next) {
    char text[INET6_ADDRSTRLEN] = "";
    const void* address =
        item->ai_family == AF_INET6
            ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(item->ai_addr)->sin6_addr)
            : &reinterpret_cast<const sockaddr_in*>(item->ai_addr)->sin_addr;
    if (::inet_ntop(item->ai_family, address, text, sizeof text) != nullptr) {
      found.emplace_back(text);
    }
  }
  ::freeaddrinfo(list);
  return found;
}

}  // namespace

struct NameLookup::Answer {
  std::mutex mutex;
  std::vector<std::string> addresses;
  bool pending = false;
};

NameLookup::NameLookup(Loop& loop, std::string name)
    : loop_(loop), name_(std::move(name)), answer_(std::make_shared<Answer>()) {}

Task<std::vector<std::string>> NameLookup::addresses() {
  const auto answer = answer_;
  bool pending = true;
  {
    const std::lock_guard lock(answer->mutex);
    pending = std::exchange(answer->pending, true);
  }
  if (!pending) {
    // Left to itself: glibc cannot be told to give up.
    std::thread([answer, name = name_] {
      auto found = look_up(name);
      const std::lock_guard lock(answer->mutex);
      answer->addresses = std::move(found);
      answer->pending = false;
    }).detach();
    for (Duration waited{0}; waited < kPatience; waited += kPause) {
      {
        const std::lock_guard lock(answer->mutex);
        if (!answer->pending) {
          break;
        }
      }
      KEELSON_CO_DO(co_await loop_.sleep(kPause));
    }
  }
  const std::lock_guard lock(answer->mutex);
  co_return answer->addresses;
}

}  // namespace keelson::agent
