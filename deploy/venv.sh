#!/bin/sh
# Make a virtual environment. Debian's python3 has no ensurepip: python3-venv brings it,
# and is installed here as root or with sudo; without either the one line to type is said.
# Usage: venv.sh PYTHON FOLDER
set -eu
python=$1
folder=$2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Portier needs Python 3.11 or later; $python is $("$python" -V 2>&1)." >&2
    echo "Name another one: make PYTHON=python3.13 ..." >&2
    exit 1
}
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        echo "One package is missing. Type this, then the same make command again:" >&2
        echo "  sudo apt install $version" >&2
        exit 1
    fi
    echo "Installing Debian's $version"
    $as_root apt-get -qq update
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$version" >/dev/null
fi
"$python" -m venv "$folder"
