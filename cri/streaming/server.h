// SPDX-License-Identifier: Apache-2.0
// Where the URLs of Exec, Attach and PortForward lead: an HTTP server whose connections become streaming sessions.
//
// CRI splits a session in two: the RPC says who may do what and gets a URL; whoever has the URL connects within a
// minute, once. So the token in the URL is the whole authority, and the server listens on loopback; or elsewhere, and
// then with TLS, or everyone on the way may read it.
// A connection is upgraded to WebSocket (v4, v5.channel.k8s.io; for ports v4 and v4.base64, or SPDY in a tunnel) or to
// SPDY/3.1 (channel versions 1 to 4; portforward.k8s.io); what a session is does not depend on which.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/fd.h"
#include "common/result.h"
#include "cri/streaming/channels.h"

namespace keelson::cri {

/// A process's ends, as the shim hands them out. An empty Fd is a stream that was not asked for. With a terminal `in`
/// and `out` are two descriptors of its master side, and `err` is empty.
struct StreamSession {
  Fd in;
  Fd out;
  Fd err;
  /// Sets the terminal's size; empty without one.
  std::function<Result<>(TerminalSize)> resize;
  /// Waits for the end and returns the exit code; called once, on a thread of its own. Unblocks after hang_up(); until
  /// it has, the session is not over.
  std::function<Result<int>()> wait;
  /// The client is gone: end an exec's process, let go of an attached one. Called at most once.
  std::function<void()> hang_up;
};

/// Opens the session when the client has come; runs on a thread of its own, so it may block.
using OpenSession = std::function<Result<StreamSession>()>;

/// The streams that the client will open.
struct AskedStreams {
  bool in = false;
  bool out = false;
  bool err = false;
  bool terminal = false;
};

/// A session of one process.
struct CommandOffer {
  AskedStreams asked;
  OpenSession open;
};

/// A session that carries connections to ports of one sandbox, as many as the client opens.
struct ForwardOffer {
  std::string sandbox;  // for messages
  std::string netns;    // for messages: the path, or "host"
  /// What WebSocket's channels lead to (websocket_forward.h); empty: what the URL's query says. Over SPDY the client
  /// names the port of each connection.
  std::vector<uint16_t> ports = {};
  /// An unconnected TCP socket of a family (AF_INET, AF_INET6), made inside the sandbox's network namespace. Runs on a
  /// thread of its own.
  std::function<Result<Fd>(int family)> open_socket;
};

using Offer = std::variant<CommandOffer, ForwardOffer>;

/// As the kubelet has them.
struct StreamingTimes {
  std::chrono::nanoseconds request = std::chrono::seconds(10);   // from the connection to the whole HTTP request
  std::chrono::nanoseconds creation = std::chrono::seconds(30);  // from the upgrade to the last stream
  std::chrono::nanoseconds idle = std::chrono::hours(4);         // with nothing sent either way
};

/// In PEM. The certificate's file may have the chain behind it.
struct TlsFiles {
  std::string certificate;
  std::string key;
};

struct StreamingOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  // 0: any
  StreamingTimes times = {};
  /// URLs are https:// then. Files that are replaced serve the next connection; a pair that cannot be used, not.
  std::optional<TlsFiles> tls = {};
};

/// Runs on one thread of its own ("kl-stream") plus one a session. offer() is thread-safe.
class StreamingServer {
 public:
  /// Listens at once. Kind::invalid: the address is none, or the certificate's files are unusable (not_found and
  /// permission, too); the error names the setting and the file.
  static Result<std::unique_ptr<StreamingServer>> start(const StreamingOptions& options = {});
  virtual ~StreamingServer() = default;

  /// A URL that works once, for a minute: "http://127.0.0.1:4711/exec/<token>". `verb` is exec, attach or portforward.
  /// At most 1000 wait at a time: Kind::exhausted.
  virtual Result<std::string> offer(const std::string& verb, Offer offer) = 0;

 protected:
  StreamingServer() = default;
};

}  // namespace keelson::cri
