#!/bin/sh
# Install Portier on Raspberry Pi OS or Debian (64 bit). For an update alone: portier-update.
#
#   sudo deploy/install.sh                 # control, link, web, record, notify, and Mosquitto here
#   sudo deploy/install.sh --no-broker     # the broker is another machine's
#   sudo deploy/install.sh --store influx1 # InfluxDB 1.x from Debian as the store
#   sudo deploy/install.sh --store victoria-metrics
#   sudo deploy/install.sh --page lan      # phones in the house reach the page: https, port 8443
#   sudo deploy/install.sh --page lan --host door.example --ip 192.168.178.20   # called so, too
#   sudo deploy/install.sh --wheelhouse FOLDER   # Python packages from here, without a network
#
# Store and page are written into a new configuration; in one that exists, the lines to change
# are named.
# It can run twice: what exists is kept (configuration, certificates, data, and the broker's files,
# of which it prints what they lack), what is older is replaced (program, units; with the way back
# of portier-update). Nothing is started that has no valid configuration.
#   --root FOLDER   lay everything out below FOLDER instead, touching nothing of this system
#   --no-program    leave the program and its virtual environment out (with --root, for tests)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$here")
root=
broker=yes
store=sqlite
program=yes
page=local
names=
wheelhouse=
[ ! -d "$source/wheelhouse" ] || wheelhouse=$source/wheelhouse
while [ $# -gt 0 ]; do
    case $1 in
        --root) root=$2; shift ;;
        --no-broker) broker=no ;;
        --no-program) program=no ;;
        --wheelhouse) wheelhouse=$2; shift ;;
        --store) store=$2; shift ;;
        --page) page=$2; shift ;;
        --host | --ip | --lan) names="$names $1 $2"; shift ;;
        -h | --help) sed -n '2,21s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) echo "install.sh: $1 is not known; see --help" >&2; exit 2 ;;
    esac
    shift
done
case $store in
    sqlite) store_url=sqlite ;;
    influx1) store_url=influx1://127.0.0.1:8086/portier ;;
    victoria-metrics) store_url=influx://127.0.0.1:8428 ;;
    *) echo "install.sh: --store takes sqlite, influx1 or victoria-metrics" >&2; exit 2 ;;
esac

case $page in
    local | lan) ;;
    *) echo "install.sh: --page takes local or lan" >&2; exit 2 ;;
esac

say() { printf '%s\n' "- $*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }
live() { [ -z "$root" ]; }
# put MODE SOURCE TARGET: replace a file of ours where it differs.
put() {
    if ! cmp -s "$2" "$root$3"; then
        install -D -m "$1" "$2" "$root$3"
        say "$3"
    fi
}
# once MODE SOURCE TARGET: lay a file down where there is none; yours is never touched.
once() { [ -e "$root$3" ] || { install -D -m "$1" "$2" "$root$3"; say "$3 (yours to edit)"; }; }

if live; then
    [ "$(id -u)" = 0 ] || fail "needs root: sudo $0"
    case $(dpkg --print-architecture) in
        arm64 | amd64) ;;
        *) fail "needs a 64-bit system: the library for the GPIO lines has no build for this one.
Install the 64-bit Raspberry Pi OS (Raspberry Pi 3 or later)." ;;
    esac
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "needs Python 3.11 or later (Debian 12, Raspberry Pi OS Bookworm, or newer)"
fi

packages="python3-venv python3-cryptography"
[ $broker = no ] || packages="$packages mosquitto mosquitto-clients"
case $store in
    influx1) packages="$packages influxdb influxdb-client" ;;
    victoria-metrics) packages="$packages victoria-metrics" ;;
esac
if live; then
    missing=$(for p in $packages; do dpkg -s "$p" >/dev/null 2>&1 || printf ' %s' "$p"; done)
    if [ -n "$missing" ]; then
        say "packages:$missing"
        apt-get -qq update
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
    fi
fi

say "users and folders"
put 644 "$here/system/sysusers.conf" /usr/lib/sysusers.d/portier.conf
put 644 "$here/system/tmpfiles.conf" /usr/lib/tmpfiles.d/portier.conf
put 644 "$here/system/99-portier-gpio.rules" /etc/udev/rules.d/99-portier-gpio.rules
if live; then
    systemd-sysusers
    systemd-tmpfiles --create portier.conf
else
    mkdir -p "$root/etc/portier/tls" "$root/etc/portier/secrets" "$root/var/lib/portier"
    ln -sfn /opt/portier/current/config/schema.json "$root/etc/portier/schema.json"
fi

config=/etc/portier/portier.yaml
if [ ! -e "$root$config" ]; then
    once 640 "$source/config/office.yaml" $config
    sed -i "s#^  store: sqlite\$#  store: $store_url#" "$root$config"
    [ $page = local ] ||
        sed -i 's/^  listen: 127.0.0.1:8080$/  listen: 0.0.0.0:8443/; s/^  #+ \(tls: {cert: tls.web\)/  \1/' "$root$config"
elif [ $store != sqlite ] && ! grep -v '^ *#' "$root$config" | grep -qF "$store_url"; then
    say "$config is yours and names another store; to use this one, write below record:"
    say "  store: $store_url"
    say "and then: sudo systemctl reload portier-control; sudo systemctl restart portier-record portier-web"
fi
if [ $page = lan ] && ! grep -q '^  tls: *{cert:' "$root$config"; then
    say "$config is yours and names another page; for phones in the house write below web:"
    say "  listen: 0.0.0.0:8443"
    say "  tls: {cert: tls/web.pem, key: tls/web.key}"
    say "and then: sudo systemctl restart portier-web"
fi
if live; then chgrp portier /etc/portier/portier.yaml; fi
# Readable by every role, each of which has a user of its own; secrets are not in it.
chmod 644 "$root/etc/portier/portier.yaml"

gateway=$(sed -n 's/^gateway:.*[{ ]id: *\([A-Za-z0-9_-]*\).*/\1/p; s/^  id: *\([A-Za-z0-9_-]*\).*/\1/p' \
    "$root/etc/portier/portier.yaml" | head -n 1)
[ -n "$gateway" ] || fail "/etc/portier/portier.yaml names no gateway id"
say "certificates for $gateway in /etc/portier/tls"
# Each key is readable by the one role that uses it (see READERS in gateway/app/certificates/folder.py).
# shellcheck disable=SC2086
sh "$here/tls.sh" "$root/etc/portier/tls" "$gateway" $names
if live; then chmod 755 /etc/portier/tls; fi

if [ $broker = yes ]; then
    once 644 "$here/mosquitto/portier.conf" /etc/mosquitto/conf.d/portier.conf
    if [ ! -e "$root/etc/mosquitto/portier.acl" ]; then
        once 644 "$here/mosquitto/portier.acl" /etc/mosquitto/portier.acl
        sed -i "s#^topic write portier/GATEWAY/#topic write portier/$gateway/#" \
            "$root/etc/mosquitto/portier.acl"
    fi
    python3 -I "$source/gateway/app/doctor/broker_files.py" --root "$root/" --gateway "$gateway"
    if live; then
        systemctl enable -q mosquitto
        systemctl restart mosquitto
    fi
fi
case $store in
    victoria-metrics)
        put 644 "$here/store/victoria-metrics.default" /etc/default/victoria-metrics
        if live; then
            systemctl enable -q victoria-metrics
            systemctl restart victoria-metrics
        fi ;;
    influx1)
        put 644 "$here/store/influxdb.portier.conf" /etc/systemd/system/influxdb.service.d/portier.conf
        if live; then
            systemctl daemon-reload
            systemctl enable -q influxdb
            systemctl restart influxdb
            # It is started before it answers; a Raspberry Pi with years of data takes its time.
            tries=0
            until answer=$(influx -host 127.0.0.1 -execute 'CREATE DATABASE portier' 2>&1); do
                tries=$((tries + 1))
                [ $tries -lt 120 ] || fail "InfluxDB does not answer (journalctl -u influxdb): $answer"
                sleep 1
            done
        fi ;;
esac

# Raspberry Pi OS keeps a relay on when the process that held it is killed; with this it
# lets go, and the wiring decides. Counts from the next start of the machine.
for boot in /boot/firmware/config.txt /boot/config.txt; do
    if [ -e "$root$boot" ] && [ ! -L "$root$boot" ] && ! grep -q '^dtparam=strict_gpiod' "$root$boot"; then
        printf '\n# Portier: outputs fall back when a process dies\ndtparam=strict_gpiod\n' >>"$root$boot"
        say "$boot: dtparam=strict_gpiod (after the next start of the machine)"
    fi
done

if [ ! -e "$root/etc/systemd/journald.conf.d/50-portier.conf" ]; then
    once 644 "$here/system/journald.conf" /etc/systemd/journald.conf.d/50-portier.conf
    if live; then systemctl try-restart systemd-journald; fi
fi
if live; then
    if udevadm control --reload 2>/dev/null; then udevadm trigger --subsystem-match=gpio; fi
    if [ $program = yes ]; then
        python3 -I "$here/portier-update" "$source" --restart ${wheelhouse:+--wheelhouse "$wheelhouse"}
        say "the first log-in: journalctl -u portier-web | grep -i password"
    fi
else
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$source/gateway/__init__.py")
    release=$root/opt/portier/releases/$version
    mkdir -p "$release" "$root/etc/systemd/system"
    if [ $program = yes ]; then
        for part in gateway drivers config deploy pyproject.toml requirements.lock README.md LICENSE CHANGELOG.md; do
            rm -rf "${release:?}/$part"
            cp -R "$source/$part" "$release/$part"
        done
    fi
    ln -sfn "releases/$version" "$root/opt/portier/current"
    for unit in "$here"/systemd/*; do
        ln -sfn "/opt/portier/current/deploy/systemd/$(basename "$unit")" "$root/etc/systemd/system/"
    done
fi
say "done"
