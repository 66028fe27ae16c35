#!/bin/sh
# Makes this machine ready:  scripts/setup.sh [play|test]
#
#   play   what the build and the demo need, and the model
#   test   that, and what the tests need (the default)
#
# Looks for each thing first and installs only what is missing, as Debian packages through apt-get; without root it then
# says exactly what to install. The model and the Tekken vocabulary come from PyPI packages, pinned by SHA-256 in
# assets/models.json. Run it as often as you like.
# SPDX-License-Identifier: MIT
set -eu
cd "$(dirname "$0")/.."

purpose=${1:-test}
case $purpose in
play | test) ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

missing=
missing_packages=

# need WHAT PACKAGE COMMAND...: notes WHAT as missing unless the command succeeds.
need() {
    what=$1
    package=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing="$missing
  $what (Debian: $package)"
        missing_packages="$missing_packages $package"
    fi
}

have() { command -v "$1"; }
library() { command -v pkg-config && pkg-config --exists "$1"; }

# Whether clang can build a fuzz target: the compiler alone is not enough.
fuzzing_works() {
    folder=$(mktemp -d) || return 1
    echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { (void)d; (void)n; return 0; }' >"$folder/f.c"
    clang -fsanitize=fuzzer,address,undefined "$folder/f.c" -o "$folder/f"
    code=$?
    rm -rf "$folder"
    return $code
}

# Any font by this file name under the usual folders.
font() {
    find /usr/share/fonts /usr/local/share/fonts "${HOME:-/}/.local/share/fonts" -name "$1" 2>/dev/null | grep -q .
}

check_all() {
    missing=
    missing_packages=
    need "the C compiler gcc" gcc have gcc
    need "the C library's headers" libc6-dev test -e /usr/include/stdio.h
    need "make" make have make
    need "flock" util-linux have flock
    need "pkg-config" pkg-config have pkg-config
    need "the Lua 5.4 interpreter" lua5.4 have lua5.4
    need "the library lua5.4" liblua5.4-dev library lua5.4
    need "the library jansson" libjansson-dev library jansson
    need "the library pcre2" libpcre2-dev library libpcre2-8
    need "the library utf8proc" libutf8proc-dev library libutf8proc
    need "the library sqlite3" libsqlite3-dev library sqlite3
    need "the library SDL2" libsdl2-dev library sdl2
    need "the library SDL2_ttf" libsdl2-ttf-dev library SDL2_ttf
    need "the library SDL2_image" libsdl2-image-dev library SDL2_image
    need "the library cmocka" libcmocka-dev library cmocka
    need "the fonts Noto Sans" fonts-noto-core font 'NotoSans-Regular.*'
    need "the fonts Noto Sans CJK" fonts-noto-cjk font 'NotoSansCJK-Regular.*'
    need "Python 3" python3 have python3
    need "certificates for HTTPS" ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
    if [ "$purpose" = test ]; then
        need "the C++ compiler g++" g++ have g++
        need "clang" clang have clang
        need "clang's fuzzing and sanitizer runtime" libclang-rt-dev fuzzing_works
    fi
    if ! files_there; then
        need "pip for Python 3" python3-pip python3 -m pip --version
    fi
}

# Whether every pinned file that this purpose wants is in place (its SHA-256 is checked later).
files_there() {
    [ -e assets/models/smollm2-135m-instruct.gguf ] &&
        { [ "$purpose" = play ] || [ -e assets/vocabularies/tekken_240718.json ]; }
}

install_packages() {
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            as_root=sudo
        else
            return 1
        fi
    fi
    command -v apt-get >/dev/null 2>&1 || return 1
    echo "setup: installing with apt-get:$missing_packages"
    mkdir -p build
    # A fresh machine has no package lists, an old one stale lists: fetch them where installing fails.
    apt_install >build/setup.log 2>&1 ||
        { $as_root apt-get update -qq >>build/setup.log 2>&1 && apt_install >>build/setup.log 2>&1; } ||
        { tail -n 20 build/setup.log >&2; return 1; }
}

apt_install() {
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing_packages
}

echo "setup: looking for what is needed to $purpose"
check_all
if [ -n "$missing" ]; then
    echo "setup: missing:$missing"
    if ! install_packages; then
        echo "setup: could not install them from here. As root, on Debian:" >&2
        echo "  apt-get install$missing_packages" >&2
        exit 1
    fi
    check_all
    if [ -n "$missing" ]; then
        echo "setup: still missing after installing:$missing" >&2
        exit 1
    fi
fi
echo "setup: programs, libraries and fonts are there"

echo "setup: the pinned files of assets/models.json"
if [ "$purpose" = play ]; then
    python3 scripts/fetch_assets.py smollm2-135m-instruct
else
    python3 scripts/fetch_assets.py
fi
echo "setup: ready to $purpose"
