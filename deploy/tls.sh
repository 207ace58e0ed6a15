#!/bin/sh
# Make an own certificate authority and the certificates of one installation, where they are
# not there yet; nothing that exists is touched. Needs openssl.
# Usage: tls.sh FOLDER GATEWAY_ID [HOST_NAME]
set -eu
folder=$1
gateway=$2
host=${3:-$(hostname)}
umask 077
mkdir -p "$folder"
cd "$folder"

authority() {
    [ -e ca.key ] || openssl ecparam -name prime256v1 -genkey -noout -out ca.key
    [ -e ca.pem ] || openssl req -x509 -new -key ca.key -sha256 -days 7300 -out ca.pem \
        -subj "/CN=Portier $gateway" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign"
    chmod 644 ca.pem
}

# certificate FILE COMMON_NAME USAGE NAMES
certificate() {
    [ ! -e "$1.pem" ] || return 0
    openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    extensions=$(mktemp)
    printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=%s\n' "$3" >"$extensions"
    [ -z "$4" ] || printf 'subjectAltName=%s\n' "$4" >>"$extensions"
    openssl req -new -key "$1.key" -subj "/CN=$2" |
        openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 -days 3650 \
            -extfile "$extensions" -out "$1.pem" 2>/dev/null
    rm -f "$extensions"
    chmod 644 "$1.pem"
}

authority
certificate broker "$host" serverAuth "DNS:$host,DNS:$host.local,DNS:localhost,IP:127.0.0.1"
certificate web "$host" serverAuth "DNS:$host,DNS:$host.local,DNS:localhost,IP:127.0.0.1"
certificate gateway "$gateway" clientAuth ""
certificate recorder recorder clientAuth ""
certificate homeassistant homeassistant clientAuth ""
