// SPDX-License-Identifier: Apache-2.0
// tokens.h.
#include "cri/streaming/tokens.h"

#include "cri/runtime/pod_table.h"

namespace keelson::cri {

namespace {

constexpr size_t kMostTickets = 1000;
constexpr std::chrono::minutes kLife{1};

}  // namespace

Result<std::string> Tokens::put(Offer offer, Time now) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(tickets_, [&](const auto& entry) { return entry.second.expires <= now; });
  if (tickets_.size() >= kMostTickets) {
    return fail(Kind::exhausted, "{} streaming sessions wait for their clients already", kMostTickets);
  }
  auto token = PodTable::new_id();
  tickets_.emplace(token, Ticket{now + kLife, std::move(offer)});
  return token;
}

std::optional<Offer> Tokens::take(const std::string& token, Time now) {
  const std::scoped_lock lock(mutex_);
  const auto found = tickets_.find(token);
  if (found == tickets_.end()) {
    return std::nullopt;
  }
  auto ticket = std::move(found->second);
  tickets_.erase(found);
  if (ticket.expires <= now) {
    return std::nullopt;
  }
  return std::move(ticket.offer);
}

}  // namespace keelson::cri
