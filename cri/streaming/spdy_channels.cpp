// SPDX-License-Identifier: Apache-2.0
// spdy_channels.h.
#include "cri/streaming/spdy_channels.h"

namespace keelson::cri {

namespace {

constexpr size_t kMostEarly = 64;  // messages before the last stream is there: a client has no reason for many
constexpr size_t kMostResizeText = 256;

}  // namespace

std::optional<int> spdy_protocol_version(std::string_view name) {
  if (name == "channel.k8s.io") {
    return 1;
  }
  if (name.size() == 17 && name.starts_with('v') && name.ends_with(".channel.k8s.io") && name[1] >= '2' &&
      name[1] <= '4') {
    return name[1] - '0';
  }
  return std::nullopt;
}

SpdyChannels::SpdyChannels(Loop& loop, std::unique_ptr<ByteStream> bytes, AskedStreams asked, int version)
    : connection_(loop, std::move(bytes)), asked_(asked), version_(version) {}

bool SpdyChannels::complete() const {
  return streams_.error != 0 && (!asked_.in || streams_.in != 0) && (!asked_.out || streams_.out != 0) &&
         (!asked_.err || streams_.err != 0) && (!asked_.terminal || version_ < 3 || streams_.resize != 0);
}

Task<> SpdyChannels::gather() {
  while (!complete()) {
    KEELSON_CO_TRY(auto frame, co_await connection_.next());
    take(std::move(frame));
    if (arrived_.size() > kMostEarly) {
      co_return fail(Kind::exhausted, "the client sends before it has opened its streams");
    }
  }
  gathered_ = true;
  if (version_ == 1) {
    connection_.reset(std::exchange(streams_.error, 0), SpdyReset::cancel);
    if (streams_.in != 0) {
      KEELSON_CO_DO(co_await connection_.write(streams_.in, "", true));
    }
  }
  // A client waits for the answer to each stream, and the command may take a while to start.
  co_return co_await connection_.flush();
}

void SpdyChannels::open(const SpdyFrame& frame) {
  const auto type = frame.headers.find("streamtype");
  uint32_t* slot = type == frame.headers.end() ? nullptr
                   : type->second == "stdin"   ? &streams_.in
                   : type->second == "stdout"  ? &streams_.out
                   : type->second == "stderr"  ? &streams_.err
                   : type->second == "error"   ? &streams_.error
                   : type->second == "resize"  ? &streams_.resize
                                               : nullptr;
  if (slot == nullptr || *slot != 0 || gathered_) {
    connection_.reset(frame.id, SpdyReset::protocol_error);
    return;
  }
  *slot = frame.id;
  connection_.reply(frame.id);
  if (frame.fin && slot == &streams_.in) {
    arrived_.push_back({.channel = Channel::in, .data = {}, .end = true});
  }
}

void SpdyChannels::take(SpdyFrame frame) {
  if (frame.type == SpdyType::syn_stream) {
    open(frame);
  } else if (frame.id == streams_.in) {
    const bool end = frame.fin || frame.type == SpdyType::rst_stream;
    if (end || !frame.data.empty()) {
      arrived_.push_back({Channel::in, std::move(frame.data), end});
    }
  } else if (frame.type == SpdyType::data) {
    if (frame.id == streams_.resize) {
      take_resize(frame.data);
    }
  } else {
    for (auto* stream : {&streams_.out, &streams_.err, &streams_.error}) {
      if (*stream == frame.id) {
        *stream = 0;
      }
    }
  }
}

// JSON objects one after the other, cut anywhere; they hold numbers only, so a brace is never part of a string.
void SpdyChannels::take_resize(std::string_view data) {
  resize_text_ += data;
  for (auto end = resize_text_.find('}'); end != std::string::npos; end = resize_text_.find('}')) {
    arrived_.push_back({Channel::resize, resize_text_.substr(0, end + 1), false});
    resize_text_.erase(0, end + 1);
  }
  if (resize_text_.size() > kMostResizeText) {
    resize_text_.clear();
  }
}

Task<ChannelLine::Message> SpdyChannels::read() {
  while (arrived_.empty()) {
    KEELSON_CO_TRY(auto frame, co_await connection_.next());
    take(std::move(frame));
  }
  auto message = std::move(arrived_.front());
  arrived_.pop_front();
  co_return message;
}

Task<> SpdyChannels::write(Channel channel, std::string data) {
  const auto stream = channel == Channel::out ? streams_.out : streams_.err;
  if (stream == 0) {
    co_return Result<>();
  }
  co_return co_await connection_.write(stream, std::move(data));
}

Task<> SpdyChannels::finish(Result<int> ending) {
  for (const auto stream : {streams_.out, streams_.err}) {
    if (stream != 0) {
      KEELSON_CO_DO(co_await connection_.write(stream, "", true));
    }
  }
  if (streams_.error != 0) {
    auto text = version_ >= 4 ? ending_json(ending) : ending_text(ending);
    KEELSON_CO_DO(co_await connection_.write(streams_.error, std::move(text), true));
  }
  co_return co_await connection_.close();
}

}  // namespace keelson::cri
