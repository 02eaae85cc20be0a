// SPDX-License-Identifier: Apache-2.0
// Bookkeeping of spawned coroutines.
#include "common/task_group.h"

#include <list>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include "common/log.h"

namespace keelson {

struct TaskGroup::State {
  explicit State(Loop& l) : loop(l), empty(l.io()) { empty.expires_at(asio::steady_timer::time_point::max()); }
  Loop& loop;
  bool closed = false;
  std::list<asio::cancellation_signal> running;
  asio::steady_timer empty;  // cancelled when the last one ends
};

namespace {

void log_outcome(const std::string& name, const std::exception_ptr& thrown, const Result<>& result) {
  if (!thrown) {
    if (!result && result.error().kind() != Kind::cancelled) {
      log::error("{}: {}", name, result.error().message());
    }
    return;
  }
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    // A cancelled coroutine leaves by this exception when it awaits once more.
    if (error.code() != asio::error::operation_aborted) {
      log::error("{}: {}", name, error.what());
    }
  } catch (const std::exception& error) {
    log::error("{}: {}", name, error.what());
  }
}

}  // namespace

TaskGroup::TaskGroup(Loop& loop) : state_(std::make_shared<State>(loop)) {}

TaskGroup::~TaskGroup() {
  cancel();
}

size_t TaskGroup::count() const {
  return state_->running.size();
}

void TaskGroup::spawn(std::string name, Task<> task) {
  if (state_->closed) {
    return;
  }
  auto signal = state_->running.emplace(state_->running.end());
  auto ended = [state = state_, signal, name = std::move(name)](std::exception_ptr thrown, Result<> result) {
    log_outcome(name, thrown, result);
    state->running.erase(signal);
    if (state->running.empty()) {
      state->empty.cancel();
    }
  };
  asio::co_spawn(state_->loop.io(), std::move(task), asio::bind_cancellation_slot(signal->slot(), std::move(ended)));
}

void TaskGroup::cancel() {
  // A handler may end its coroutine at once and erase it from the list: step on before emitting.
  for (auto it = state_->running.begin(); it != state_->running.end();) {
    auto current = it++;
    current->emit(asio::cancellation_type::all);
  }
}

Task<> TaskGroup::close() {
  auto state = state_;
  state->closed = true;
  cancel();
  while (!state->running.empty()) {
    co_await state->empty.async_wait(use_result);
  }
  co_return Result<>();
}

}  // namespace keelson
