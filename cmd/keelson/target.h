// SPDX-License-Identifier: Apache-2.0
// Which container of a pod a verb means.
#pragma once

#include <string>

#include "cmd/keelson/verbs.h"

namespace keelson::cli {

/// `asked` if the pod has it; without one, the only container, or the first with a note on stderr, as kubectl does.
/// Kind::not_found names the pod, or the containers that there are.
Result<std::string> choose_container(const Session& session, const std::string& space, const std::string& pod,
                                     const std::string& asked);

}  // namespace keelson::cli
