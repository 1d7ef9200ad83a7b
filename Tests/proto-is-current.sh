#!/bin/sh
# proto-is-current.sh: fails when the committed C is not what protoc-c makes of the schema. With --write it mends that.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
c=$root/Sources/COutriggerProto
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

command -v protoc-c >/dev/null || {
    echo "protoc-c is missing: apt-get install protobuf-c-compiler" >&2
    exit 1
}
protoc-c --proto_path="$root/proto" --c_out="$made" outrigger.proto
if [ "${1:-}" = --write ]; then
    cp "$made/outrigger.pb-c.c" "$c/"
    cp "$made/outrigger.pb-c.h" "$c/include/"
fi
status=0
cmp "$made/outrigger.pb-c.c" "$c/outrigger.pb-c.c" || status=1
cmp "$made/outrigger.pb-c.h" "$c/include/outrigger.pb-c.h" || status=1
if [ "$status" -ne 0 ]; then
    echo "Sources/COutriggerProto is older than proto/outrigger.proto: run Tests/proto-is-current.sh --write" >&2
fi
exit "$status"
