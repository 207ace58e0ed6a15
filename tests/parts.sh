#!/bin/sh
# Install the real parts that the tests talk to, from Debian's packages, where this user may.
# Usage: parts.sh PACKAGE...
# What cannot be installed is said; the tests that need it are then skipped with that reason
# (and fail with CI=true).
set -eu
missing=
for package in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) in
        ii*) ;;
        *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "Not installed, and no right to:$missing" >&2
    echo "  sudo apt install$missing" >&2
    exit 0
fi
echo "Installing Debian's$missing"
# A package's service must not start: the tests start their own, on ports of their own.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    made=yes
fi
trap '[ -z "$made" ] || $as_root rm -f "$policy"' EXIT
$as_root apt-get -qq update
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
