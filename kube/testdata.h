// SPDX-License-Identifier: Apache-2.0
// Files of testdata/ and small pods, for this room's tests.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "kube/codec.h"

namespace keelson::kube {

inline std::string testdata(const std::string& name) {
  std::ifstream file(std::string(KUBE_TESTDATA) + "/" + name);
  EXPECT_TRUE(file.good()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The messages of all errors of all documents, without the file's name: "3: spec.containers: Required value".
inline std::vector<std::string> errors_of(std::string_view text) {
  std::vector<std::string> messages;
  for (const Document& document : decode_documents(text, "f")) {
    for (const Problem& problem : document.errors) {
      messages.push_back(problem.message().substr(2));
    }
  }
  return messages;
}

/// The only pod of a text; fails the test, and gives an empty pod, if it is not valid.
inline Pod pod_of(std::string_view text) {
  const auto documents = decode_documents(text, "f");
  if (documents.size() != 1 || !documents[0].object || !std::holds_alternative<Pod>(*documents[0].object)) {
    ADD_FAILURE() << "not one valid pod: " << (documents.empty() ? "nothing" : testing::PrintToString(errors_of(text)));
    return {};
  }
  return std::get<Pod>(*documents[0].object);
}

}  // namespace keelson::kube
