#!/bin/sh
# Makes .venv with the interpreter given. Debian keeps the venv module in a package of its own,
# so on a bare machine it is installed first (as root; otherwise we say what to type).
set -eu
python="${1:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Workbench needs Python 3.11 or newer; $python is older. Set PYTHON=/path/to/python3.11." >&2
    exit 1
}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq "python$version-venv"
    else
        echo "The venv module is missing. Install it: sudo apt-get install python$version-venv" >&2
        exit 1
    fi
fi
rm -rf .venv
"$python" -m venv .venv
