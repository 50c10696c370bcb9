#!/bin/sh
# What the tests need from the system: Chromium for the browser, PostgreSQL for the store,
# bubblewrap for the sandbox.
# Installed when missing (as root); otherwise we say what to type.
set -eu
wanted=""
[ -x /usr/bin/chromium ] || wanted="chromium fonts-dejavu-core"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || wanted="$wanted postgresql"
command -v bwrap >/dev/null || wanted="$wanted bubblewrap"
[ -n "$wanted" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing for the tests: $wanted"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of packages
    apt-get install -y -qq --no-install-recommends $wanted >/dev/null
else
    echo "The tests need these packages: sudo apt-get install $wanted" >&2
    exit 1
fi
