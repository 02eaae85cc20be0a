// SPDX-License-Identifier: Apache-2.0
// The neutral tree as JSON and as YAML.
#include <fmt/format.h>

#include <string>

#include "kube/value.h"

namespace keelson::kube {

namespace {

using Type = Value::Type;

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

class JsonPrinter {
 public:
  explicit JsonPrinter(bool pretty) : pretty_(pretty) {}

  void print(const Value& value) {
    switch (value.type) {
      case Type::map:
        return block('{', '}', value.members, [this](const Member& member) {
          append_quoted(out_, member.key);
          out_ += pretty_ ? ": " : ":";
          print(member.value);
        });
      case Type::list:
        return block('[', ']', value.items, [this](const Value& item) { print(item); });
      case Type::null:
        out_ += "null";
        return;
      case Type::boolean:
        out_ += value.boolean ? "true" : "false";
        return;
      case Type::string:
        return append_quoted(out_, value.text);
      case Type::integer:
      case Type::real:
        // Infinities and NaN exist in YAML only.
        out_ += value.text.find_first_of("nN") == std::string::npos ? value.text : "null";
        return;
    }
  }
  std::string take() { return std::move(out_); }

 private:
  void new_line() {
    if (pretty_) {
      out_ += '\n';
      out_.append(depth_ * 4, ' ');
    }
  }
  template <class List, class Print>
  void block(char open, char close, const List& list, Print print_one) {
    out_ += open;
    ++depth_;
    bool first = true;
    for (const auto& element : list) {
      out_ += first ? "" : ",";
      first = false;
      new_line();
      print_one(element);
    }
    --depth_;
    if (!first) {
      new_line();
    }
    out_ += close;
  }

  bool pretty_;
  size_t depth_ = 0;
  std::string out_;
};

/// Dates and base 60 numbers: strings to Kubernetes, something else to other YAML readers. The Go library quotes them
/// too.
bool looks_dated(std::string_view text) {
  if (text.find_first_not_of("0123456789:.-+_TZ ") != std::string_view::npos) {
    return false;
  }
  const bool date = text.size() > 4 && text[4] == '-' && text.find_first_not_of("0123456789") == 4;
  const bool base60 = text.front() != ':' && text.find(':') != std::string_view::npos;
  return date || base60;
}

/// True if the text can stand unquoted, and means itself then.
bool plain_safe(std::string_view text) {
  if (text.empty() || resolve_plain(text).type != Type::string || text == "<<" || text == "=") {
    return false;
  }
  if (std::string_view("-?:,[]{}#&*!|>'\"%@` ").find(text.front()) != std::string_view::npos) {
    const bool lone_dash = text.size() > 1 && text.front() == '-' && text[1] != ' ' && !text.starts_with("---");
    if (!lone_dash) {
      return false;
    }
  }
  if (text.back() == ' ' || text.back() == ':' || text.starts_with("...")) {
    return false;
  }
  if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos) {
    return false;
  }
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return false;
    }
  }
  return !looks_dated(text);
}

/// True if a block scalar shows the text as it is: lines of printable text.
bool block_safe(std::string_view text) {
  if (text.find('\n') == std::string_view::npos || text.front() == ' ' || text.front() == '\n' ||
      text.front() == '\t') {
    return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool trailing_blank = c == ' ' && i + 1 < text.size() && text[i + 1] == '\n';
    if (trailing_blank || (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
      return false;
    }
  }
  return true;
}

class YamlPrinter {
 public:
  void print(const Value& value, size_t indent) {
    if (value.type == Type::map) {
      for (const Member& member : value.members) {
        start_line(indent);
        scalar_text(member.key);
        out_ += ':';
        nested(member.value, indent);
      }
      return;
    }
    if (value.type == Type::list) {
      for (const Value& item : value.items) {
        start_line(indent);
        out_ += '-';
        if (!composite(item)) {
          nested(item, indent);
        } else {
          // "- " takes the place of the first line's indent.
          out_ += ' ';
          joined_ = true;
          print(item, indent + 2);
        }
      }
      return;
    }
    start_line(indent);
    scalar(value, indent);
    out_ += '\n';
  }
  std::string take() { return std::move(out_); }

 private:
  static bool composite(const Value& value) { return !value.members.empty() || !value.items.empty(); }

  void start_line(size_t indent) {
    if (!joined_) {
      out_.append(indent, ' ');
    }
    joined_ = false;
  }
  /// What follows "key:" or "-".
  void nested(const Value& value, size_t indent) {
    if (composite(value)) {
      out_ += '\n';
      print(value, value.type == Type::list ? indent : indent + 2);
      return;
    }
    out_ += ' ';
    scalar(value, indent);
    out_ += '\n';
  }
  void scalar(const Value& value, size_t indent) {
    switch (value.type) {
      case Type::map:
        out_ += "{}";
        return;
      case Type::list:
        out_ += "[]";
        return;
      case Type::null:
        out_ += "null";
        return;
      case Type::boolean:
        out_ += value.boolean ? "true" : "false";
        return;
      case Type::integer:
      case Type::real:
        out_ += value.text;
        return;
      case Type::string:
        if (!value.text.empty() && block_safe(value.text)) {
          return block(value.text, indent + 2);
        }
        scalar_text(value.text);
    }
  }
  void scalar_text(std::string_view text) {
    if (plain_safe(text)) {
      out_ += text;
      return;
    }
    const bool printable = text.find_first_of("\n\t\r") == std::string_view::npos;
    bool quotable = printable && !text.empty() && resolve_plain(text).type == Type::string;
    for (const char c : text) {
      quotable = quotable && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '\'';
    }
    if (quotable && !looks_dated(text)) {
      out_ += '\'';
      out_ += text;
      out_ += '\'';
      return;
    }
    append_quoted(out_, text);
  }
  void block(std::string_view text, size_t indent) {
    const size_t last = text.find_last_not_of('\n');
    const size_t ends = text.size() - last - 1;
    out_ += ends == 0 ? "|-" : ends == 1 ? "|" : "|+";
    if (ends > 0) {
      text.remove_suffix(1);
    }
    while (true) {
      const size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      out_ += '\n';
      if (!line.empty()) {
        out_.append(indent, ' ');
        out_ += line;
      }
      if (end == std::string_view::npos) {
        return;
      }
      text.remove_prefix(end + 1);
    }
  }

  std::string out_;
  bool joined_ = false;
};

}  // namespace

std::string print_json(const Value& value, bool pretty) {
  JsonPrinter printer(pretty);
  printer.print(value);
  return printer.take();
}

std::string print_yaml(const Value& value) {
  YamlPrinter printer;
  printer.print(value, 0);
  return printer.take();
}

}  // namespace keelson::kube
