# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts here that build other people's programs: where they stand, and what a build has in common.
# Before: `title`, what is built, for people; `folder`, its place below KEELSON_PEERS (default ~/.cache/keelson/peers).
# Then: `here`, this folder; `out`, where the programs stand or will.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${KEELSON_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/keelson/peers}/$folder

# Ends with 77: there are no such programs, for this reason.
skip() { echo "SKIP: $title: $*" >&2; exit 77; }

# begin_build GO TIME: needs go GO, and takes TIME. Then `work` is an empty folder that goes with the script.
begin_build() {
  PATH=$PATH:/usr/local/go/bin
  command -v go > /dev/null || skip "needs go ($1 or newer)"
  export GOTOOLCHAIN=local
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$out"
  echo "building $title, once ($2)" >&2
}
