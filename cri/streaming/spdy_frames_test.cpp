// SPDX-License-Identifier: Apache-2.0
// The SPDY codec: bytes taken from a real peer, round trips in any portions, and what must be refused.
#include "cri/streaming/spdy_frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace keelson::cri {
namespace {

using namespace std::string_literals;

uint32_t adler32(std::string_view text) {
  uint32_t a = 1, b = 0;
  for (const char c : text) {
    a = (a + static_cast<uint8_t>(c)) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

std::vector<SpdyFrame> parse(std::string_view bytes, size_t portion) {
  SpdyParser parser;
  std::vector<SpdyFrame> frames;
  while (!bytes.empty()) {
    parser.feed(bytes.substr(0, portion));
    bytes.remove_prefix(std::min(portion, bytes.size()));
    while (true) {
      auto frame = parser.next();
      EXPECT_TRUE(frame) << frame.error().message();
      if (!frame || !*frame) {
        break;
      }
      frames.push_back(std::move(**frame));
    }
  }
  return frames;
}

Result<std::optional<SpdyFrame>> parse_one(std::string_view bytes) {
  SpdyParser parser;
  parser.feed(bytes);
  return parser.next();
}

TEST(SpdyHeaders, DictionaryIsTheDrafts) {
  EXPECT_EQ(spdy_dictionary().size(), 1423u);
  EXPECT_EQ(adler32(spdy_dictionary()), 0xe3c6a7c2u);
}

TEST(SpdyHeaders, BlocksContinueOneAnother) {
  HeaderDeflater deflater;
  HeaderInflater inflater;
  const SpdyHeaders first{{"streamtype", "error"}, {"port", "80"}};
  const auto one = deflater.compress(first);
  const auto two = deflater.compress(first);
  EXPECT_LT(two.size(), one.size() / 2);  // the second refers to the first
  EXPECT_EQ(*inflater.decompress(one), first);
  EXPECT_EQ(*inflater.decompress(two), first);
  EXPECT_FALSE(HeaderInflater().decompress(two));
}

TEST(SpdyHeaders, RefusesBadBlocks) {
  HeaderDeflater upper;
  EXPECT_EQ(HeaderInflater().decompress(upper.compress({{"Port", "80"}})).error().kind(), Kind::invalid);
  HeaderDeflater large;  // a few hundred bytes that want to become 80 KiB
  const auto bomb = large.compress({{"a", std::string(80 << 10, 'x')}});
  EXPECT_LT(bomb.size(), 1000u);
  EXPECT_EQ(HeaderInflater().decompress(bomb).error().kind(), Kind::exhausted);
  EXPECT_FALSE(HeaderInflater().decompress(""));
  EXPECT_FALSE(HeaderInflater().decompress("not zlib"));
}

// What moby/spdystream v0.5.0 writes for the two streams of a forwarded connection.
TEST(SpdyFrames, ReadsThePeersBytes) {
  const auto bytes =
      "\x80\x03\x00\x01\x00\x00\x00\x3e\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x78\xf9\xe3\xc6"
      "\xa7\xc2\x02\x25\x3a\x70\x3a\x2b\x29\x4a\x4d\xcc\x85\x16\x25\xac\xa9\xa0\x80\x86\x14\xcb"
      "\x45\xe0\x1c\x60\x61\x60\x61\xc0\xc0\xc0\xc0\x59\x04\x89\xc6\x4c\x50\xf2\x66\x34\x00\x00"
      "\x00\x00\xff\xff"
      "\x80\x03\x00\x01\x00\x00\x00\x1c\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x82\x6a\xc6\x14\x45\x35"
      "\x0e\x54\x32\x25\xa2\x9b\x06\x00\x00\x00\xff\xff"s;
  const auto frames = parse(bytes, 5);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].id, 1u);
  EXPECT_EQ(frames[0].headers, (SpdyHeaders{{"streamtype", "error"}, {"port", "8080"}, {"requestid", "0"}}));
  EXPECT_EQ(frames[1].id, 3u);
  EXPECT_EQ(frames[1].headers, (SpdyHeaders{{"streamtype", "data"}, {"port", "8080"}, {"requestid", "0"}}));
}

TEST(SpdyFrames, RoundTripInAnyPortions) {
  SpdyWriter writer;
  const std::string long_data(100'000, 'd');
  const auto bytes = writer.syn_stream(1, {{"streamtype", "stdin"}}) + writer.syn_stream(3, {{"port", "1"}}, true) +
                     SpdyWriter::data(1, "abc") + SpdyWriter::data(1, "", true) + SpdyWriter::ping(7) +
                     SpdyWriter::data(5, long_data, true) + SpdyWriter::rst_stream(3, SpdyReset::cancel) +
                     writer.syn_reply(1) + SpdyWriter::go_away(3);
  for (const size_t portion : {size_t{1}, size_t{7}, size_t{4096}, bytes.size()}) {
    SCOPED_TRACE(portion);
    std::vector<SpdyFrame> merged;  // the portions of data, put together again
    for (auto& frame : parse(bytes, portion)) {
      if (!merged.empty() && frame.type == SpdyType::data && merged.back().type == SpdyType::data &&
          merged.back().id == frame.id && !merged.back().fin && !frame.data.empty()) {
        merged.back().data += frame.data;
        merged.back().fin = frame.fin;
      } else {
        merged.push_back(std::move(frame));
      }
    }
    ASSERT_EQ(merged.size(), 9u);
    EXPECT_EQ(merged[0].headers.at("streamtype"), "stdin");
    EXPECT_FALSE(merged[0].fin);
    EXPECT_TRUE(merged[1].fin);
    EXPECT_EQ(merged[2].data, "abc");
    EXPECT_FALSE(merged[2].fin);
    EXPECT_TRUE(merged[3].fin);
    EXPECT_EQ(merged[3].id, 1u);
    EXPECT_EQ(merged[4].type, SpdyType::ping);
    EXPECT_EQ(merged[4].id, 7u);
    EXPECT_EQ(merged[5].data, long_data);
    EXPECT_TRUE(merged[5].fin);
    EXPECT_EQ(merged[6].status, 5u);
    EXPECT_EQ(merged[7].type, SpdyType::syn_reply);
    EXPECT_EQ(merged[8].id, 3u);
  }
}

TEST(SpdyFrames, BytesAreTheDrafts) {
  EXPECT_EQ(SpdyWriter::data(3, "hi", true), "\x00\x00\x00\x03\x01\x00\x00\x02hi"s);
  EXPECT_EQ(SpdyWriter::ping(2), "\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x02"s);
  EXPECT_EQ(SpdyWriter::rst_stream(1, SpdyReset::refused),
            "\x80\x03\x00\x03\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x03"s);
  EXPECT_EQ(SpdyWriter::go_away(5), "\x80\x03\x00\x07\x00\x00\x00\x08\x00\x00\x00\x05\x00\x00\x00\x00"s);
}

TEST(SpdyFrames, RefusesWhatDoesNotFit) {
  EXPECT_EQ(parse_one("\x80\x02\x00\x06\x00\x00\x00\x04"s).error().kind(), Kind::invalid);           // version 2
  EXPECT_EQ(parse_one("\x80\x03\x00\x06\x00\x00\x00\x05....."s).error().kind(), Kind::invalid);      // a long ping
  EXPECT_EQ(parse_one("\x80\x03\x00\x01\x00\x00\x00\x09........."s).error().kind(), Kind::invalid);  // a short SYN
  EXPECT_EQ(parse_one("\x80\x03\x00\x01\x00\x01\x00\x01"s).error().kind(), Kind::exhausted);         // before it came
  EXPECT_EQ(parse_one("\x00\x00\x00\x00\x00\x00\x00\x00"s).error().kind(), Kind::invalid);           // stream 0
}

TEST(SpdyFrames, UnknownTypesAreSkipped) {
  const auto frames = parse("\x80\x03\x00\x0b\x00\x00\x00\x02xx"s + SpdyWriter::ping(1), 1000);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].type, SpdyType::ping);
}

// Not a fuzzer, but the same claim: no bytes make it crash, hang or hold more than it was given.
TEST(SpdyFrames, SurvivesDamage) {
  std::mt19937 random(4711);
  SpdyWriter writer;
  const auto good = writer.syn_stream(1, {{"streamtype", "data"}, {"port", "80"}}) + SpdyWriter::data(1, "hello") +
                    writer.syn_stream(3, {{"streamtype", "error"}}) + SpdyWriter::ping(1);
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = good;
    for (int hits = 1 + static_cast<int>(random() % 4); hits > 0; --hits) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    SpdyParser parser;
    parser.feed(bytes);
    size_t frames = 0;
    for (auto frame = parser.next(); frame && *frame; frame = parser.next()) {
      ASSERT_LT(++frames, bytes.size());
    }
  }
}

}  // namespace
}  // namespace keelson::cri
