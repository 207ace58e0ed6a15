#!/bin/sh
# Make the authorities and certificates of one installation, where they are not there yet; nothing
# that exists is touched. Once Portier is installed, `portier certificate` does this and more.
# Usage: tls.sh FOLDER GATEWAY_ID [HOST_NAME] [--host NAME]... [--ip ADDRESS]... [--lan NETWORK]...
#        tls.sh --revoke FOLDER CERTIFICATE.pem   (then: systemctl restart mosquitto)
# Needs a Python with the library cryptography: Debian's python3-cryptography, or Portier's own.
set -eu
umask 077
source=$(dirname "$(dirname "$(realpath "$0")")")
for python in "$source/.venv/bin/python" /opt/portier/current/.venv/bin/python /usr/bin/python3; do
    if "$python" -I -c 'import cryptography' 2>/dev/null; then
        exec "$python" -I -c '
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(1))
from gateway.app.certificates.command import main
sys.exit(main())' "$source" "$@"
    fi
done
echo "tls.sh: no Python here has the library cryptography: sudo apt install python3-cryptography" >&2
exit 1
