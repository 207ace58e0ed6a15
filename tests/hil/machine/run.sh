#!/usr/bin/env bash
# Boot the machine that build.sh made, run one script in it as root, and exit
# with the script's exit status:
#
#   run.sh SCRIPT [FILE|FOLDER ...] [-- ARGUMENT ...]
#
# SCRIPT (.py, .sh, or an executable) and every FILE and FOLDER are copied to
# /bench in the guest under their own names. The script runs in /bench with the
# ARGUMENTs; what it prints is streamed here. Every boot starts from the same
# state.
#
# Settings (environment):
#   RIG_BUILD            build.sh's output folder        (build/ beside this file)
#   RIG_PERSIST_OUTPUTS  1: a released output keeps its level, as Raspberry Pi
#                        OS has it; 0: it is let go, as Debian's kernel does (1)
#   RIG_INIT             plain, or systemd to boot systemd first         (plain)
#   RIG_TIMEOUT          seconds until the machine is switched off         (170)
#   RIG_BOOT_TIMEOUT     seconds until a machine that has not reached the script
#                        is started again, twice at most                    (60)
#   RIG_SMP, RIG_MEM     processors and MiB of memory; more than one processor is
#                        no faster, and now and then hangs under TCG    (1, 768)
#   RIG_ACCEL            tcg, or kvm where that works; never guessed, because a
#                        /dev/kvm that opens may still not boot a guest    (tcg)
# Exit status: the script's; 124 after RIG_TIMEOUT; 125 if the guest died.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${RIG_BUILD:-$here/build}
accel=${RIG_ACCEL:-tcg}
[ $# -ge 1 ] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 2; }
[ -e "$build/stamp" ] || { echo "run.sh: no machine in $build: run build.sh first" >&2; exit 125; }

job=$(mktemp -d)
qemu=
watch=
cleanup() {
    [ -z "$watch" ] || kill "$watch" 2>/dev/null || true
    [ -z "$qemu" ] || { kill "$qemu" 2>/dev/null || true; wait "$qemu" 2>/dev/null || true; }
    rm -rf "$job"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
mkdir "$job/in" "$job/out"

script=$1; shift
cp -aL "$script" "$job/in/"
while [ $# -gt 0 ]; do
    [ "$1" != -- ] || { shift; break; }
    cp -a "$1" "$job/in/"
    shift
done
# What the guest's /rig/init reads; every value quoted for a shell.
{
    printf 'RIG_SCRIPT=%q\n' "$(basename "$script")"
    args=; [ $# -eq 0 ] || args=$(printf '%q ' "$@")
    printf 'RIG_ARGS=%q\n' "$args"
    printf 'RIG_INIT=%q\nRIG_PERSIST_OUTPUTS=%q\n' \
        "${RIG_INIT:-plain}" "${RIG_PERSIST_OUTPUTS:-1}"
} > "$job/env"

# mitigations=off: without page-table switches at every system call the emulated
# machine is markedly faster. The clock is the guest's own; there is no network.
boot() {
    rm -rf "$job/out"; mkdir "$job/out"
    timeout --foreground "${RIG_TIMEOUT:-170}" qemu-system-x86_64 \
        -M pc,usb=off,vmport=off -accel "$accel" -cpu "${RIG_CPU:-max}" \
        -smp "${RIG_SMP:-1}" -m "${RIG_MEM:-768}" \
        -nodefaults -no-user-config -no-reboot -display none -vga none -net none \
        -kernel "$build/vmlinuz" -initrd "$build/initrd.gz" \
        -append "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr audit=0 random.trust_cpu=on systemd.getty_auto=no ${RIG_APPEND:-}" \
        -drive "file=$build/root.ext4,format=raw,if=virtio,readonly=on" \
        -virtfs "local,path=$job,mount_tag=job,security_model=none" \
        -serial "file:$job/out/kernel.log" \
        -chardev stdio,id=con,signal=off -device virtio-serial-pci -device virtconsole,chardev=con \
        </dev/null &
    qemu=$!
    # A machine that does not reach the script is started again: nothing of the
    # script has run yet, so that is safe.
    ( i=0; while [ $i -lt "${RIG_BOOT_TIMEOUT:-60}" ]; do
          sleep 1; [ ! -e "$job/out/.started" ] || exit 0; i=$((i + 1))
      done; kill "$qemu" ) 2>/dev/null &
    watch=$!
    rc=0; wait "$qemu" || rc=$?
    qemu=
    kill "$watch" 2>/dev/null || true; wait "$watch" 2>/dev/null || true
    watch=
}
for try in 1 2 3; do
    boot
    [ ! -e "$job/out/.started" ] || break
    echo "run.sh: the machine did not start (try $try, qemu: $rc)" >&2
done

status=$(cat "$job/out/.rc" 2>/dev/null || true)
if [ -n "$status" ]; then exit "$status"; fi
echo "run.sh: the machine ended without the script's exit status (qemu: $rc); its last kernel messages:" >&2
tail -n 20 "$job/out/kernel.log" >&2 || true
[ "$rc" = 124 ] && exit 124
exit 125
