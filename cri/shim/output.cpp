// SPDX-License-Identifier: Apache-2.0
// output.h.
#include "cri/shim/output.h"

#include <poll.h>

#include <array>

#include "common/clock.h"
#include "common/pipe.h"

namespace keelson::cri::shim {

namespace {

// As much as a pipe can hold: a background process may keep its end open and go on writing.
constexpr int kMostReads = 64;

int64_t now_ns() {
  return real_clock().wall().time_since_epoch().count();
}

}  // namespace

Result<Fd> Output::add_pipe(Stream stream) {
  KEELSON_TRY(auto ends, make_pipe());
  const int from = ends.read.get();
  ::fcntl(from, F_SETFL, O_NONBLOCK);
  from_[static_cast<size_t>(stream)] = std::move(ends.read);
  watches_[static_cast<size_t>(stream)] = poller_.watch(from, Source::output, static_cast<uint32_t>(from));
  return std::move(ends.write);
}

void Output::use_terminal(Fd master) {
  ::fcntl(master.get(), F_SETFL, O_NONBLOCK);
  from_[0] = std::move(master);
  watches_[0] = poller_.watch(from_[0].get(), Source::output, static_cast<uint32_t>(from_[0].get()));
}

void Output::pump(int fd) {
  const size_t index = from_[0].get() == fd ? 0 : 1;
  if (!copy_once(index)) {
    end(index);
  }
}

void Output::drain() {
  for (size_t index = 0; index < 2; ++index) {
    for (int i = 0; from_[index] && i < kMostReads; ++i) {
      if (!copy_once(index)) {
        end(index);
        break;
      }
      pollfd more{from_[index].get(), POLLIN, 0};
      if (::poll(&more, 1, 0) <= 0) {
        break;
      }
    }
  }
}

void Output::attach(Stream stream, Fd reader) {
  ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  copies_[static_cast<size_t>(stream)].push_back(std::move(reader));
}

// False at the end of the stream.
bool Output::copy_once(size_t index) {
  std::array<char, 32768> data;
  ssize_t n = ::read(from_[index].get(), data.data(), data.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    return true;
  }
  if (n <= 0) {
    return false;
  }
  std::string_view text(data.data(), static_cast<size_t>(n));
  if (auto written = log_.write(static_cast<Stream>(index), text, now_ns()); !written) {
    // A full disk loses log lines, never blocks the container.
  }
  auto& copies = copies_[index];
  for (auto it = copies.begin(); it != copies.end();) {
    // A reader that is too slow is let go.
    bool taken = ::write(it->get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    it = taken ? std::next(it) : copies.erase(it);
  }
  return true;
}

void Output::end(size_t index) {
  if (auto written = log_.finish(static_cast<Stream>(index), now_ns()); !written) {
    // As above.
  }
  watches_[index].end();
  from_[index].reset();
  copies_[index].clear();
}

}  // namespace keelson::cri::shim
