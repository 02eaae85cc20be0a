#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The style that a machine can hold: format, first lines, sizes, folders with a README, each header alone; --tidy: clang-tidy.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bad=0
complain() { echo "lint: $*"; bad=1; }

mapfile -t sources < <(git ls-files '*.h' '*.cpp' '*.bpf.c')
clang-format-19 --dry-run --Werror "${sources[@]}" 2>/tmp/lint-format.$$ || { head -20 /tmp/lint-format.$$; complain "run clang-format-19 -i on the files above"; }
rm -f /tmp/lint-format.$$

for file in "${sources[@]}"; do
  licence='^// SPDX-License-Identifier: Apache-2.0'
  # The kernel wants its programs under the GPL, too.
  case $file in ebpf/bpf/* | dataplane/packet/*) licence='^/\* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 \*/' ;; esac
  head -1 "$file" | grep -q "$licence" || complain "$file: the first line is not the licence"
  lines=$(wc -l < "$file")
  limit=400
  case $file in *_test.cpp | tests/*) limit=600 ;; *.cpp) limit=600 ;; esac
  if [ "$lines" -gt "$limit" ] && ! grep -q "^$file " tests/lint-exceptions; then
    complain "$file: $lines lines, the limit is $limit (tests/lint-exceptions lists the exceptions with a reason)"
  fi
done

# A folder of more than a handful of sources says what lives there.
git ls-files '*.h' '*.cpp' '*.c' '*.sh' ':!:*/proto/*' | xargs -n1 dirname | sort | uniq -c | while read -r count room; do
  [ "$count" -lt 4 ] || [ -f "$room/README.md" ] || echo "$room has no README.md"
done | { grep . && complain "a folder needs a paragraph"; }
git grep -nE '\b(TODO|FIXME|XXX)\b' -- '*.h' '*.cpp' '*.sh' ':!tests/lint.sh' && complain "a TODO needs an issue, not a comment"

# Every public header compiles alone, with what its room may see.
if [ -f build/compile_commands.json ]; then
  for header in $(cd build/inc && find . -name '*.h' -printf '%P\n'); do
    [ -e "build/inc/$header" ] || continue  # a link to what an earlier commit had
    room=${header%%/*} path=${header#*/}
    flags=(-std=c++2b -fsyntax-only -x c++ -isystem /usr/include/libnl3)
    for root in build/inc/*; do flags+=(-I"$root"); done
    echo "#include \"$path\"" | clang++-19 "${flags[@]}" - 2>/tmp/lint-header.$$ || { head -5 /tmp/lint-header.$$; complain "$path ($room) does not compile alone"; }
  done
  rm -f /tmp/lint-header.$$
fi

if [ "${1:-}" = --tidy ]; then
  run-clang-tidy-19 -quiet -p build '^(?!.*(_test\.cpp|\.pb\.cc)).*\.cpp$' || complain "clang-tidy"
fi
[ $bad -eq 0 ] && echo "lint: clean"
exit $bad
