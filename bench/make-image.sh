#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a large image's layers out of this machine's /usr: make-image.sh OUTPUT_DIR
# About 200 MB as gzip: a base of programs and libraries, a layer of very many small files, one of few large ones, and a
# small one on top. Each is there as NAME.tar.gz and NAME.tar.zst; OUTPUT_DIR/list is what test-registry serves.
set -euo pipefail
output=$1
mkdir -p "$output"

# layer NAME BYTES SIZE_TEST FOLDER...: files of a size that SIZE_TEST takes, in the order of their names, until BYTES
layer() {
  local name=$1 bytes=$2 test=$3
  shift 3
  # shellcheck disable=SC2086
  { find "$@" -xdev -type f $test -printf '%p\t%s\n' 2> /dev/null || true; } | LC_ALL=C sort | awk -F'\t' -v most="$bytes" '(sum += $2) <= most {print $1}' |
    tar -C / --owner=0 --group=0 --format=pax --pax-option=delete=atime,delete=ctime -P --transform 's,^/,,' -cf "$output/$name.tar" -T -
  zstd -q -3 -k "$output/$name.tar"
  sha256sum < "$output/$name.tar" | cut -d' ' -f1 > "$output/$name.sum"
  gzip -6 -n "$output/$name.tar"
}
pids=()
{
  layer base 190000000 "-size -6M" /usr/bin /usr/lib/x86_64-linux-gnu /usr/lib/aarch64-linux-gnu
  layer small 130000000 "-size -64k" /usr/include /usr/share /usr/lib/python3 /usr/lib/gcc
  layer top 2000000 "-size -16k" /usr/share/doc
} & pids+=($!)
layer large 300000000 "-size +12M" /usr/lib /usr/bin & pids+=($!)
for pid in "${pids[@]}"; do wait "$pid"; done
for kind in gzip:gz zstd:zst; do
  layers=
  for name in base small large top; do
    layers+=${layers:+,}$output/$name.tar.${kind#*:}@sha256:$(cat "$output/$name.sum")
  done
  echo "bench/${kind%:*} 1 $layers {}"
done > "$output/list"
