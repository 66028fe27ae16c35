#!/bin/sh
# Sets up, builds and opens the Gilded Griffin:  scripts/play.sh [GRIFFIN OPTION...]
#
# Without a display it plays a scripted evening instead: the conversation, the calls that changed the game and the frame
# times are printed, and a picture is left in build/griffin.png. With options, runs the demo with those.
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/.."

case "${1:-}" in
-h | --help)
    sed -n '2,5s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac

scripts/setup.sh play
echo "play: building"
scripts/build.sh release griffin repartee

if [ $# -gt 0 ]; then
    exec build/release/griffin "$@"
fi
if [ -n "${DISPLAY:-}" ] || [ -n "${WAYLAND_DISPLAY:-}" ]; then
    exec build/release/griffin
fi

echo "play: no display (DISPLAY and WAYLAND_DISPLAY are empty), so the evening plays by itself"
rm -f build/griffin.json build/griffin.png
exec build/release/griffin --headless --script assets/demo/evening.txt \
    --report build/griffin.json --screenshot build/griffin.png
