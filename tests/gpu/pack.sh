#!/bin/bash
# Packs what the GPU tests need of a build, stripped, for a GPU machine that has neither a network nor
# a compiler: unpack it anywhere and give that folder to run_all.sh as BUILD_DIR.
set -euo pipefail

if [[ $# -ne 2 || $1 == -h || $1 == --help ]]; then
  echo "usage: pack.sh BUILD_DIR ARCHIVE.tar.xz"
  exit 2
fi
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/lib"
for program in kernels_gpu kernel_times lamplight link_floor piecewise_server piecewise_server_static replay_overhead \
    replay_overhead_static; do
  strip -o "$work/bin/$program" "$build/bin/$program"
done
# Programs ask for the library by its version.
for library in liblamplight.so liblamplight_kernels.so.0; do
  strip --strip-unneeded -o "$work/lib/$library" "$build/lib/$library"
done
ln -s liblamplight_kernels.so.0 "$work/lib/liblamplight_kernels.so"
tar -cJf "$2" -C "$work" bin lib
echo "packed: $(du -h "$2" | cut -f1) in $2"
