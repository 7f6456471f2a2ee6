#!/bin/busybox sh
# Starts what the benchmark of devices compares the host with: the same programs from the same image by the
# bare commands, as root, without jail, walls, limits and lists of system calls.
#   bare network <kind>/<vm>   passt in the uplink's own namespace, and a guest on it; its console is
#                              /run/bare/s/console.in and /run/bare.log
#   bare shares <kind>/<vm>    two virtiofsd with nothing around them, and a guest with both; console likewise
#   bare windows <kind>/<vm>   swtpm with a new state, and a guest on it with new variables of its firmware
# /etc/bench/qemu: the guest's command, as text for the shell.
bb=/bin/busybox
root=/run/bare
folder=/var/rayos/vm/$2
$bb mkdir -p $root
$bb mount --bind /usr/lib/rayos/root/qemu $root
$bb mount --bind /dev $root/dev
for place in g s t n; do $bb mount -t tmpfs none $root/$place; done
# $1 = name in QEMU's root, $2 = file
lend() { : > "$root/g/$1"; $bb mount --bind "$2" "$root/g/$1"; }
lend kernel "$folder/vmlinuz"
lend initrd "$folder/initrd.img"
# The port of the outer machine that QEMU speaks through, by its name.
port() {
  for one in /sys/class/virtio-ports/*; do
    read -r name < "$one/name"
    [ "$name" != "$1" ] || echo "/dev/${one##*/}"
  done
}
wait_for() { until [ -S "$1" ]; do $bb usleep 20000; done; }

console() {
  lend disk0 "$folder/rootfs.ext4"
  $bb mkfifo $root/s/console.in $root/s/console.out
  $bb cat $root/s/console.out > /run/bare.log &
}

case $1 in
  shares)
    console
    $bb mkdir -p "$folder/work"
    for one in docs work; do
      /usr/bin/bwrap --ro-bind /usr/lib/rayos/root/virtiofsd / --dev-bind /dev /dev --proc /proc \
        --bind "$folder/$one" /share --bind $root/n /v --tmpfs /var/run --chdir / \
        /usr/bin/virtiofsd --socket-path=/v/$one.sock -f -o source=/share,sandbox=chroot,cache=auto &
      wait_for $root/n/$one.sock
    done
    # It binds its socket a moment before it listens.
    $bb sleep 1
    ;;
  network)
    console
    $bb chown 64063:64063 $root/n
    # passt's own sandbox wants a user namespace, and itself a way out of the namespace that it is in.
    echo 100 > /proc/sys/user/max_user_namespaces
    $bb nsenter --net=/run/rayos/netns/uplink /usr/sbin/nft \
      'insert rule inet rayos in accept; insert rule inet rayos out accept'
    $bb nsenter --net=/run/rayos/netns/uplink /usr/bin/bwrap --ro-bind /usr/lib/rayos/root/passt / \
      --dev-bind /dev /dev --proc /proc --bind $root/n /n --tmpfs /tmp \
      /usr/bin/setpriv --reuid 64063 --regid 64063 --clear-groups -- \
      /usr/bin/passt --socket /n/bare.sock -f -1 -4 --no-map-gw -t none -u none -D 9.9.9.9 \
      -a 198.19.0.2 -n 24 -g 198.19.0.1 --no-dhcp-search --quiet &
    wait_for $root/n/bare.sock
    ;;
  windows)
    agent=$(port org.rayos.bench.agent)
    monitor=$(port org.rayos.bench.qmp)
    lend disk0 "$folder/disk"
    $bb cp /etc/rayos/firmware/OVMF_VARS_4M.fd $root/g/nvram
    $bb mkdir -p /run/bare.tpm
    echo "inside bare begins"
    /usr/bin/bwrap --bind /usr/lib/rayos/root/swtpm / --dev-bind /dev /dev --bind /run/bare.tpm /state \
      --bind $root/t /t /usr/bin/swtpm socket --tpm2 --tpmstate dir=/state,mode=0600 \
      --ctrl type=unixio,path=/t/tpm.sock --flags startup-clear --terminate &
    wait_for $root/t/tpm.sock
    ;;
esac
. /etc/bench/qemu
echo "inside bare ended"
