#!/bin/sh
# Make an own certificate authority and the certificates of one installation, where they are
# not there yet; nothing that exists is touched. Needs openssl.
# Usage: tls.sh FOLDER GATEWAY_ID [HOST_NAME]
#        tls.sh --revoke FOLDER CERTIFICATE.pem   (then: systemctl restart mosquitto)
set -eu
umask 077

# With openssl's own register of what was revoked, which it wants to have: ca.index.
revocations() {
    [ -e ca.index ] || : >ca.index
    openssl ca -config /dev/stdin -name ca -md sha256 "$@" <<END
[ca]
database = ca.index
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_crl_days = 7300
END
}

# Lasts as long as the authority: a list that has expired would let nobody in.
list_revoked() {
    revocations -gencrl -out revoked.new 2>/dev/null
    chmod 644 revoked.new
    mv revoked.new revoked.pem
}

if [ "$1" = --revoke ]; then
    certificate=$(realpath "$3")
    cd "$2"
    revocations -revoke "$certificate" 2>/dev/null || {
        echo "tls.sh: $3 is not revoked: it is already, or ca.key in $2 has not made it" >&2
        exit 1
    }
    list_revoked
    exit 0
fi

folder=$1
gateway=$2
host=${3:-$(hostname)}
mkdir -p "$folder"
cd "$folder"

authority() {
    if [ -e ca.pem ] && [ ! -e ca.key ]; then
        return 0  # it is elsewhere, which is as good: another one would fit nothing
    fi
    [ -e ca.key ] || openssl ecparam -name prime256v1 -genkey -noout -out ca.key
    [ -e ca.pem ] || openssl req -x509 -new -key ca.key -sha256 -days 7300 -out ca.pem \
        -subj "/CN=Portier $gateway" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign"
    chmod 644 ca.pem
}

# certificate FILE COMMON_NAME USAGE NAMES
certificate() {
    [ ! -e "$1.pem" ] || return 0
    if [ ! -e ca.key ]; then
        echo "tls.sh: $1.pem is missing, and ca.key, which signs it, is not in $folder" >&2
        exit 1
    fi
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
if [ -e ca.key ] && [ ! -e revoked.pem ]; then list_revoked; fi
