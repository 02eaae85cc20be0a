// SPDX-License-Identifier: Apache-2.0
// What a transfer's reader waits for.
#include "kube/client/transport.h"

namespace keelson::kube {

Transfer::Transfer(Loop& loop, TransferRequest request)
    : request_(std::move(request)), changed_(loop.io(), asio::steady_timer::time_point::max()) {}

void Transfer::notify() {
  ++notices_;
  changed_.expires_at(asio::steady_timer::time_point::max());  // ends the waits
}

void Transfer::answered(int status, std::optional<Duration> retry_after) {
  status_ = status;
  retry_after_ = retry_after;
  notify();
}

void Transfer::arrived(std::string_view bytes) {
  body_ += bytes;
  notify();
}

void Transfer::finish(std::optional<Error> error, bool no_connection) {
  finished_ = true;
  error_ = std::move(error);
  no_connection_ = no_connection;
  notify();
}

Task<> Transfer::wait() {
  const size_t before = notices_;
  co_await changed_.async_wait(use_result);
  if (notices_ == before) {
    co_return fail(Kind::cancelled, "cancelled");
  }
  co_return Result<>();
}

Task<> Transfer::headers() {
  while (status_ == 0 && !finished_) {
    KEELSON_CO_DO(co_await wait());
  }
  if (error_ && status_ == 0) {
    co_return std::unexpected(*error_);
  }
  co_return Result<>();
}

Task<std::string> Transfer::read() {
  while (body_.empty() && !finished_) {
    KEELSON_CO_DO(co_await wait());
  }
  if (body_.empty() && error_) {
    co_return std::unexpected(*error_);
  }
  std::string part = std::exchange(body_, {});
  drained();
  co_return part;
}

}  // namespace keelson::kube
