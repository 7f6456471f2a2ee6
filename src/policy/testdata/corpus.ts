/**
 * Policies as people write them, well and badly, for the test that parser and JSON Schema agree on
 * the shape. Written by hand from the contract, not made from the schema.
 */

/** Each has the shape. */
export const SHAPELY: readonly string[] = [
  "version = 0",
  "version = 0\nserial = 1",
  'version = 0\nserial = 9007199254740991\nhosts = ["desk-1", "lab.example.org", "A"]',
  "version = 0\n[defaults]\nnetworking = 'on'\npresent_on_boot = true\nautoboot_vms = false",
  "version = 0\n[limits]\ncpu_percent = 100\nmem_mib = 64\nvms = 64",
  "version = 0\nlimits = { cpu_percent = 1, vms = 1 }",
  "version = 0\n[logging]\nlevel = 'trace'\npersist = false\ninput = 'full'",
  "version = 0\n[security]\nvirtualization = 'emulated_ok'\nmeasure = 'off'\nguest_agent = false",
  "version = 0\n[presentation]\nattention = 'ctrl+alt+end'\nallow = []",
  "version = 0\n[presentation]\nallow = ['socket', 'console']",
  `version = 0\n[recovery]\npassphrase = '$scrypt$ln=15,r=8,p=1$${"a".repeat(22)}$${
    "b".repeat(43)
  }'`,
  "version = 0\n[network]\nresolver = '9.9.9.9'\nallow_private = ['10.0.0.0/8', '192.168.1.0/24']",
  "version = 0\n[linux]",
  `version = 0
[linux]
enabled = true
vm_id = "linux-desktop-001"
autoboot = true
present_on_boot = true
networking = "provisioning_only"
provisioning_minutes = 1440
on_shutdown = "suspend"
limits.cpus = 64
limits.mem_mib = 32
limits.io_mib_s = 1
limits.console_kib_s = 65536
[linux.storage]
root_disk = "vm/linux/linux-desktop-001/rootfs.ext4"
bus = "ahci"
[[linux.storage.shares]]
tag = "docs"
path = "vm/linux/linux-desktop-001/docs"
[[linux.storage.shares]]
tag = "work.2"
path = "vm/linux/linux-desktop-001/work"
read_only = false
quota_mib = 1
[linux.boot]
kernel = "vm/linux/linux-desktop-001/vmlinuz"
initrd = "vm/linux/linux-desktop-001/initrd"
cmdline = "console=hvc0 root=/dev/vda ro"
[linux.devices]
input = true
gpu = "virtio"
vtpm = true`,
  `version = 0
[windows]
enabled = true
vm_id = "w"
[windows.storage]
disk = "windows-guest/disk.img"
ovmf_vars = "windows-guest/vars.fd"
vtpm_state_dir = "windows-guest/tpm"
[windows.devices]
vtpm = true`,
  `version = 0
[profiles.kiosk]
kind = "linux"
enabled = true
storage.root_disk = "vm/linux/{vm_id}/root.img"
[profiles.office_2]
kind = "windows"
storage = { disk = "vm/windows/{vm_id}/disk", bus = "virtio" }`,
  // A path that breaks a rule of sense has the shape of a path.
  'version = 0\n[linux]\nstorage.root_disk = "../../etc/shadow"',
];

/** Each has not. */
export const MISSHAPEN: readonly string[] = [
  "version = 0\nversoin = 1",
  "version = 0\nserial = 0",
  "version = 0\nserial = -1",
  "version = 0\nserial = 1.5",
  "version = 0\nserial = nan",
  "version = 0\nserial = inf",
  "version = 0\nserial = '1'",
  "version = 0\nserial = 2024-01-01",
  "version = 0\nhosts = []",
  "version = 0\nhosts = 'desk'",
  "version = 0\nhosts = ['-desk']",
  "version = 0\nhosts = ['desk', 1]",
  `version = 0\nhosts = ['${"a".repeat(64)}']`,
  "version = 0\ndefaults = 1",
  "version = 0\n[defaults]\nnetworking = 'provisioning_only'",
  "version = 0\n[defaults]\nautoboot = true",
  "version = 0\n[limits]\ncpu_percent = 0",
  "version = 0\n[limits]\ncpu_percent = 101",
  "version = 0\n[limits]\nmem_mib = 63",
  "version = 0\n[limits]\nvms = 65",
  "version = 0\n[logging]\nlevel = 'verbose'",
  "version = 0\n[logging]\npersist = 'yes'",
  "version = 0\n[security]\nvirtualization = true",
  "version = 0\n[presentation]\nallow = ['recovery']",
  "version = 0\n[presentation]\nallow = ['console', 'socket', 'console']",
  "version = 0\n[recovery]\npassphrase = 'secret'",
  "version = 0\n[recovery]\npassphrase = '$scrypt$ln=9,r=8,p=1$aaaaaaaaaaaaaaaaaaaaaa$b'",
  "version = 0\n[network]\nresolver = '999.9.9.9'",
  "version = 0\n[network]\nresolver = '::1'",
  "version = 0\n[network]\nallow_private = ['10.0.0.0']",
  "version = 0\n[network]\nallow_private = ['10.0.0.0/33']",
  "version = 0\n[linux]\nenabled = 1",
  "version = 0\n[linux]\nvm_id = 'Desk'",
  "version = 0\n[linux]\nvm_id = ''",
  "version = 0\n[linux]\nkind = 'linux'",
  "version = 0\n[linux]\nnetworking = 'yes'",
  "version = 0\n[linux]\nprovisioning_minutes = 0",
  "version = 0\n[linux]\nprovisioning_minutes = 1441",
  "version = 0\n[linux]\non_shutdown = 'kill'",
  "version = 0\n[linux.limits]\ncpus = 0",
  "version = 0\n[linux.limits]\nmem_mib = 31",
  "version = 0\n[linux.storage]\ndisk = 'vm/linux/x/disk'",
  "version = 0\n[linux.storage]\nbus = 'ide'",
  "version = 0\n[[linux.storage.shares]]\ntag = 'a'",
  "version = 0\n[[linux.storage.shares]]\npath = 'vm/linux/a/b'",
  "version = 0\n[[linux.storage.shares]]\ntag = 'a b'\npath = 'p'",
  "version = 0\n[[linux.storage.shares]]\ntag = 'a'\npath = 'p'\nquota_mib = 0",
  'version = 0\n[linux.boot]\ncmdline = "a\\nb"',
  "version = 0\n[linux.boot]\nkernel = []",
  "version = 0\n[linux.devices]\ngpu = 'passthrough'",
  "version = 0\n[linux.devices]\nusb = true",
  "version = 0\n[windows.storage]\nroot_disk = 'x'",
  "version = 0\n[windows]\nenabled = 'true'",
  "version = 0\n[profiles.kiosk]\nenabled = true",
  "version = 0\n[profiles.kiosk]\nkind = 'bsd'",
  "version = 0\n[profiles.kiosk]\nkind = 'linux'\nvm_id = 'a'",
  "version = 0\n[profiles.kiosk]\nkind = 'linux'\nstorage.disk = 'a'",
  "version = 0\n[profiles.Kiosk]\nkind = 'linux'",
  "version = 0\nprofiles = []",
  `version = 0\n${
    Array.from({ length: 65 }, (_, n) => `[profiles.p${n}]\nkind = 'linux'\n`).join("")
  }`,
];
