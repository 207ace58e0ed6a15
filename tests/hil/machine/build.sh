#!/usr/bin/env bash
# Build everything run.sh boots, from Debian packages and PyPI wheels only:
#
#   $RIG_BUILD/vmlinuz      the kernel of Debian's own linux-image package
#   $RIG_BUILD/initrd.gz    busybox + the few modules needed to mount the root
#   $RIG_BUILD/root.ext4    minimal Debian with Python, gpiozero, gpiod,
#                           the kernel's modules and gpio-sim.ko
#
# Why a module is compiled here: no Debian kernel (amd64, cloud, rt, arm64; 6.1
# and 6.12 alike) is built with CONFIG_GPIO_SIM or CONFIG_GPIO_MOCKUP. The
# driver's source, gpio-sim.c, is in Debian's linux-source package, and it
# compiles as an external module against Debian's linux-headers; see
# guest/gpio-sim/.
#
# Needs: Debian 12 (bookworm) on x86_64, root, its apt sources and pip set up.
# Nothing is loaded into the host's kernel. Idempotent: a second call with the
# same inputs does nothing. Settings (environment):
#   RIG_BUILD      output folder               (default: build/ beside this file)
#   RIG_FORCE=1    rebuild although the inputs are unchanged
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${RIG_BUILD:-$here/build}
suite=bookworm
guest_packages=python3,kmod,procps,util-linux,tzdata,systemd,systemd-sysv,dbus
guest_pip=$(sed -n 's/^\(gpiozero\|gpiod\)==\([^ ]*\).*/\1==\2/p' "$here/../../../requirements.lock")

say() { printf '[build %3ds] %s\n' "$SECONDS" "$*" >&2; }
quiet() { local log; log=$(mktemp); "$@" >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; return 1; }; rm -f "$log"; }

export DEBIAN_FRONTEND=noninteractive LC_ALL=C
# A new machine has no apt lists yet; do not fetch them again when it has.
case $(apt-cache policy linux-image-amd64) in *'Candidate: '[0-9]*) ;; *) quiet apt-get update ;; esac
mkdir -p "$build"

# --- which kernel -----------------------------------------------------------
kver=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: linux-image-//p' | head -1)
[ -n "$kver" ] || { say 'no linux-image-amd64 in the apt lists: run apt-get update'; exit 1; }
pkgver=$(apt-cache policy "linux-image-$kver" | sed -n 's/.*Candidate: //p')

# --- is there anything to do? -------------------------------------------------
stamp=$( { echo "$kver $pkgver $guest_packages $guest_pip"; cat "${BASH_SOURCE[0]}"; find "$here/guest" -type f | sort | xargs cat; } | sha256sum | cut -d' ' -f1)
if [ "${RIG_FORCE:-0}" != 1 ] && [ "$(cat "$build/stamp" 2>/dev/null)" = "$stamp" ]; then
    say "up to date ($kver)"; exit 0
fi
rm -f "$build/stamp"

# --- tools on the host ---------------------------------------------------------
# The headers must be those of the very package whose kernel is booted: module
# symbol versions are checked when gpio-sim.ko is loaded.
say "host tools and headers for $kver"
quiet apt-get install -y --no-install-recommends \
    qemu-system-x86 busybox-static cpio kmod e2fsprogs mmdebstrap gcc make xz-utils \
    "linux-headers-$kver=$pkgver"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# --- kernel image and modules (unpacked, never installed on the host) -----------
say 'kernel image and source packages'
mkdir "$work/deb"
( cd "$work/deb"
  chown _apt . 2>/dev/null || true
  quiet apt-get download "linux-image-$kver=$pkgver" "linux-source-6.1=$pkgver" )
dpkg-deb -x "$work"/deb/linux-image-*.deb "$work/kernel"
cp "$work/kernel/boot/vmlinuz-$kver" "$build/vmlinuz"

# --- gpio-sim.ko ------------------------------------------------------------------
say 'gpio-sim.ko'
mkdir "$work/src"
dpkg-deb --fsys-tarfile "$work"/deb/linux-source-*.deb \
    | tar -xO ./usr/src/linux-source-6.1.tar.xz \
    | tar -xJ -C "$work/src" --strip-components=1 \
        linux-source-6.1/drivers/gpio/gpio-sim.c \
        linux-source-6.1/drivers/gpio/gpiolib.h \
        linux-source-6.1/kernel/irq/irq_sim.c
mod=$work/mod
mkdir "$mod"
cp "$here/guest/gpio-sim/Kbuild" "$work/src/drivers/gpio/gpiolib.h" "$mod/"
python3 "$here/guest/gpio-sim/patch.py" \
    "$work/src/drivers/gpio/gpio-sim.c" "$work/src/kernel/irq/irq_sim.c" "$mod"
kdir=$(dpkg -L "linux-headers-$kver" | grep "/build\$" | head -1)
quiet make -C "$kdir" M="$mod" modules
strip --strip-debug "$mod/gpio-sim.ko"
install -D -m644 "$mod/gpio-sim.ko" "$work/kernel/lib/modules/$kver/extra/gpio-sim.ko"

# Drop what a GPIO rig never loads; it is four fifths of the modules.
( cd "$work/kernel/lib/modules/$kver/kernel"
  rm -rf drivers/gpu drivers/net drivers/media drivers/infiniband drivers/scsi \
         drivers/staging drivers/isdn drivers/ata drivers/bluetooth drivers/hid \
         drivers/iio/accel drivers/iio/light drivers/iio/imu \
         net/bluetooth net/mac80211 net/wireless net/netfilter net/sched \
         sound fs/btrfs fs/xfs fs/ocfs2 fs/nfs* fs/cifs fs/smb* fs/ceph fs/gfs2 fs/f2fs )
depmod -b "$work/kernel" "$kver"

# --- root file system -----------------------------------------------------------------
say 'root file system'
# The guest's packages come from the apt sources this host already uses.
apt-get indextargets --format '$(ORIGIN) $(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' \
    | awk -v s="$suite" '$1 == "Debian" && index($2, s) == 1 { sub(/^[^ ]+ [^ ]+ /, ""); print }' | sort -u > "$work/sources"
quiet mmdebstrap --variant=essential --include="$guest_packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --aptopt='APT::Install-Recommends "false"' \
    "$suite" "$work/root" "$work/sources"
py=$(chroot "$work/root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
rm -rf "$work/root"/var/cache/apt/* "$work/root"/var/lib/apt/lists/*
cp -a "$work/kernel/lib/modules" "$work/root/usr/lib/"
mkdir -p "$work/root/rig" "$work/root/job" "$work/root/bench"
cp "$here"/guest/init "$work/root/rig/"
cp -a "$here"/guest/systemd/. "$work/root/etc/systemd/system/"
chmod 755 "$work/root/rig/init"
# For RIG_INIT=systemd: start the job with everything else, no login prompts.
mkdir -p "$work/root/etc/systemd/system/multi-user.target.wants"
ln -sf ../rig-job.service "$work/root/etc/systemd/system/multi-user.target.wants/rig-job.service"
ln -sf /dev/null "$work/root/etc/systemd/system/getty.target"
echo rig > "$work/root/etc/hostname"
echo 52494752494752494752494752494752 > "$work/root/etc/machine-id"
: > "$work/root/etc/resolv.conf"
site=$work/root/usr/local/lib/python$py/dist-packages
mkdir -p "$site"

say "PyPI wheels for CPython $py"
# --only-binary: what the guest gets is what a Raspberry Pi would get as a wheel.
# shellcheck disable=SC2086
quiet python3 -m pip install --no-cache-dir --only-binary=:all: --python-version "$py" \
    --implementation cp --abi "cp${py/./}" --abi abi3 --abi none \
    --platform manylinux_2_34_x86_64 --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform any \
    --target "$site" $guest_pip
chroot "$work/root" python3 -m compileall -q "/usr/local/lib/python$py/dist-packages"
echo "$py" > "$build/python"
echo "$kver" > "$build/kver"

say 'ext4 image'
size=$(( $(du -sm "$work/root" | cut -f1) * 12 / 10 + 48 ))
rm -f "$build/root.ext4"
quiet mke2fs -q -t ext4 -O ^has_journal -m 0 -L rig -d "$work/root" "$build/root.ext4" "${size}M"

# --- initramfs ---------------------------------------------------------------------------
say 'initramfs'
ird=$work/initrd
mkdir -p "$ird"/{bin,dev,proc,sys,mnt/{ro,rw,root},lib/modules}
cp "$(command -v busybox)" "$ird/bin/busybox"
install -m755 "$here/guest/initramfs-init" "$ird/init"
# Modules in dependency order, each once.
: > "$ird/lib/modules/order"
for m in virtio_pci virtio_blk ext4 overlay virtio_console 9pnet_virtio 9p; do
    modprobe -d "$work/kernel" -S "$kver" --show-depends "$m" | sed -n 's/^insmod //p'
done | awk '!seen[$1]++ {print $1}' | while read -r ko; do
    cp "$ko" "$ird/lib/modules/"; basename "$ko" >> "$ird/lib/modules/order"
done
( cd "$ird" && find . | cpio -o -H newc --quiet | gzip -1 ) > "$build/initrd.gz"

echo "$stamp" > "$build/stamp"
say "done: $(cd "$build" && ls -sh vmlinuz initrd.gz root.ext4 | tr '\n' ' ')"
