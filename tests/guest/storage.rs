//! The device below a directory, through Linux's layers: LVM volumes, md, overlayfs.

use crate::common::temp_dir;
use crate::machine::{add_modules, add_program, documents};

#[test]
fn volumes_arrays_and_overlays_lead_to_the_device_below() {
    let root = temp_dir();
    add_program(root.path(), "dmsetup");
    add_modules(
        root.path(),
        &["dm-mod", "md-mod", "raid0", "overlay", "loop"],
    );
    let root = root.path().to_str().unwrap();
    let env = documents(
        &["--guest-add", root],
        "for module in dm-mod md-mod raid0 overlay loop; do
             insmod /modules/$module.ko
         done
         # Two disks of their own below all that follows.
         for disk in 0 1; do
             truncate -s 64M /data/disk$disk
             losetup /dev/loop$disk /data/disk$disk
         done
         env_in() {
             mkdir -p $2; mount $1 $2; wbench env --json --dir $2; umount $2
         }
         # A volume as LVM makes it.
         echo '0 131072 linear /dev/loop0 0' | dmsetup create --noudevsync vg-data
         mknod /dev/volume b $(cat /sys/class/block/dm-0/dev | tr : ' ')
         mke2fs -q /dev/volume >/dev/null 2>&1
         env_in /dev/volume /mnt/volume
         dmsetup remove --noudevsync vg-data
         # A stripe over two disks.
         echo md_stripe >/sys/module/md_mod/parameters/new_array
         array=/sys/class/block/md_stripe/md
         echo raid0 >$array/level
         echo 2 >$array/raid_disks
         echo 65536 >$array/chunk_size
         for disk in 0 1; do
             cat /sys/class/block/loop$disk/dev >$array/new_dev
             echo $disk >$array/dev-loop$disk/slot
             echo 65536 >$array/dev-loop$disk/size
         done
         echo active >$array/array_state
         mke2fs -q /dev/md_stripe >/dev/null 2>&1
         env_in /dev/md_stripe /mnt/stripe
         # An overlay whose upper directory is on the data disk.
         mkdir -p /data/lower /data/upper /data/work /mnt/overlay
         mount -t overlay -o lowerdir=/data/lower,upperdir=/data/upper,workdir=/data/work \\
             overlay /mnt/overlay
         wbench env --json --dir /mnt/overlay",
    );
    let [volume, stripe, overlay] = env.try_into().unwrap();
    let device = |env: &serde_json::Value| env["storage"]["device"].clone();
    assert_eq!(device(&volume), "loop0");
    assert_eq!(device(&stripe), "md_stripe");
    assert_eq!(device(&overlay), "vda");
    assert_eq!(overlay["storage"]["filesystem"], "overlay");
    assert_eq!(overlay["storage"]["write_cache"], "write back");
    assert!(overlay["storage"]["scheduler"].is_string(), "{overlay:#}");
    assert!(overlay["storage"]["rotational"].is_boolean(), "{overlay:#}");
}
