#!/usr/bin/env bash
# Puts a sync server under the load of clients, and of those who would like it to fall over. Fails if it panics, if it answers
# that it is at fault, if it does not answer afterwards, if its memory grows, or if what it holds can't be pulled.
#
#   tests/load/hostile.sh [seconds] [--quick] [--release]
#
# For a minute, unless told otherwise; `--quick` for ten seconds.
set -euo pipefail
cd "$(dirname "$0")"

seconds=60
profile=debug
build=(cargo build --locked -p grove-crdt-tests --bin load_server)
for argument in "$@"; do
  case $argument in
    --quick) seconds=10 ;;
    --release)
      profile=release
      build+=(--release)
      ;;
    *[!0-9]*)
      echo "usage: $0 [seconds] [--quick] [--release]" >&2
      exit 2
      ;;
    *) seconds=$argument ;;
  esac
done

# How much its memory may grow from a third of the time to the end, in KiB. What is under way comes and goes: bodies of up to
# 8 MiB, that take several times as much while they are read, and what the allocator keeps of them for the next.
allowed=$((${ALLOWED_MIB:-96} * 1024))

missing=()
for tool in wrk curl zstd; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"
fi

"${build[@]}"
target=$(cargo metadata --locked --no-deps --format-version 1 | grep -o '"target_directory":"[^"]*"' | cut -d'"' -f4)
server=$target/$profile/load_server

scratch=$(mktemp -d)
mkdir "$scratch/bodies"
children=()
finish() {
  # Only what was started here.
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$scratch"
}
trap finish EXIT

fail() {
  echo "FAILED: $*" >&2
  tail -n 40 "$scratch/log" >&2
  exit 1
}

# 256 MiB of nothing, compressed; a frame that asks for a window of gigabytes; a body of few bytes and many values; and one that
# is as large as may be.
head -c 256M /dev/zero | gzip -9 >"$scratch/bodies/bomb.gz"
head -c 256M /dev/zero | zstd -q -19 >"$scratch/bodies/bomb.zst"
printf '\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00' >"$scratch/bodies/window.zst"
{
  printf '{"node_id":"edge-0","replica_id":"x","changes":[0'
  head -c 400000 /dev/zero | sed 's/\x0/,{}/g'
  printf ']}'
} >"$scratch/bodies/many-values.json"
{
  printf '{"node_id":"edge-0","replica_id":"x","tables":[],"changes":["'
  head -c 8000000 /dev/zero | tr '\0' x
  printf '"]}'
} >"$scratch/bodies/huge.json"

# With few heaps: what an allocator keeps in each of many, for it has been used once, is not what the server holds.
MALLOC_ARENA_MAX=2 "$server" serve "$scratch" >"$scratch/url" 2>"$scratch/log" &
process=$!
children+=("$process")
for _ in {1..100}; do
  [ -s "$scratch/url" ] && break
  sleep 0.1
done
url=$(cat "$scratch/url")
[ -n "$url" ] || fail "the server does not start"
host=${url#http://}
port=${host#*:}

# The seconds of processor time that it has taken.
busy() { awk -v per_second="$(getconf CLK_TCK)" '{ print int(($14 + $15) / per_second) }' "/proc/$process/stat"; }

rss() { awk '/^VmRSS/ { print $2 }' "/proc/$process/status"; }

until=$((SECONDS + seconds))
going() { [ "$SECONDS" -lt "$until" ]; }

# Streams that are opened and dropped, some without being read.
streams() {
  while going; do
    curl -sN --max-time 0.3 -H "authorization: Bearer edge-$1" "$url/open/stream?tables=documents" -o /dev/null || true
    curl -sI --max-time 0.3 "$url/open/pull" -o /dev/null || true
    exec 3<>"/dev/tcp/127.0.0.1/$port" || continue
    printf 'GET /open/stream?tables=documents HTTP/1.1\r\nhost: x\r\nauthorization: Bearer edge-%s\r\n\r\n' "$1" >&3 || true
    sleep 0.5
    exec 3<&- 3>&-
  done
}

# Bodies that arrive slowly, or not at all, and heads that end in the middle.
slow() {
  while going; do
    curl -s --max-time 2 --limit-rate 1K -H 'content-type: application/json' -H "authorization: Bearer edge-$1" \
      --data-binary "@$scratch/bodies/huge.json" "$url/open/push" -o /dev/null || true
    for part in 'POST /open/push HT' $'POST /open/push HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\nauthorization: Bearer edge-'"$1"$'\r\n\r\n{' \
      $'POST /open/push HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n' $'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'; do
      exec 3<>"/dev/tcp/127.0.0.1/$port" || continue
      printf '%s' "$part" >&3 || true
      sleep 0.1
      exec 3<&- 3>&-
    done
  done
}

for n in 0 1 2 3; do
  streams "$n" 2>/dev/null &
  children+=($!)
  slow "$n" 2>/dev/null &
  children+=($!)
done

load() {
  PREFIX=$1 BODIES=$scratch/bodies wrk --threads "$2" --connections "$3" --duration "${seconds}s" --timeout 20s \
    --script hostile.lua "$url"
}
load /open 2 24 >"$scratch/open" 2>&1 &
open=$!
# As it comes, most is refused for being too often.
load /sync 2 8 >"$scratch/sync" 2>&1 &
sync=$!
children+=("$open" "$sync")

samples=()
works=()
while going; do
  sleep 0.5
  kill -0 "$process" 2>/dev/null || fail "the server has ended"
  samples+=("$(rss)")
  works+=("$(busy)")
done
wait "$open" || fail "$(cat "$scratch/open")"
wait "$sync" || fail "$(cat "$scratch/sync")"
cat "$scratch/open" "$scratch/sync"

# It rests for a moment, so that what was under way is done.
sleep 2
end=$(rss)
third=$((${#samples[@]} / 3))
warm=0
for sample in "${samples[@]:third:third}"; do
  if [ "$sample" -gt "$warm" ]; then warm=$sample; fi
done
highest=0
for sample in "${samples[@]}"; do
  if [ "$sample" -gt "$highest" ]; then highest=$sample; fi
done
echo "memory: ${samples[0]} KiB at first, $warm KiB at most in the second third, $highest KiB at most, $end KiB in the end"

if grep -n 'panicked' "$scratch/log"; then fail "it panicked"; fi
if grep -n ' ERROR ' "$scratch/log"; then fail "it was at fault"; fi
if grep -h '^500' "$scratch/open" "$scratch/sync"; then fail "it said that it was at fault"; fi
grep -q '^answered 200' "$scratch/open" || fail "nothing was answered"
[ "$(curl -s -o /dev/null -w '%{http_code}' "$url/sync/health")" = 200 ] || fail "it is not well"
"$server" check "$scratch" "$url" || fail "what it holds can't be pulled"
[ "${works[-1]}" -gt "${works[2 * third]}" ] || fail "there was nothing left to do long before the end: this shows nothing"
[ "$end" -le $((warm + allowed)) ] || fail "it has grown by $(((end - warm) / 1024)) MiB since the second third"
echo "passed"
