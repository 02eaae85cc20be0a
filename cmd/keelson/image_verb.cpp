// SPDX-License-Identifier: Apache-2.0
// keelson image load PATH
#include "cmd/keelson/runtime_lists.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

void add_image(CLI::App& app, Session& session) {
  auto* verb = app.add_subcommand("image", "Images without a registry");
  verb->require_subcommand(1);
  auto* load =
      verb->add_subcommand("load", "Load an OCI layout (folder or tar) or a docker archive into the runtime's store");
  auto path = std::make_shared<std::string>();
  load->add_option("path", *path, "The layout or archive")->required()->check(CLI::ExistingPath);
  load->callback(
      [&session, path] { session.chosen = [&session, path] { return load_image(session.runtime(), *path); }; });
}

}  // namespace keelson::cli
