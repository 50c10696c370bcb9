#!/bin/sh
# What the tests need from the system: Chromium for the browser tests. Installed when missing
# (as root); otherwise we say what to type.
set -eu
[ -x /usr/bin/chromium ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests ..."
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
else
    echo "The browser tests need Chromium: sudo apt-get install chromium" >&2
    exit 1
fi
