//! File systems and their devices. In: the mount table (through sysinfo, which leaves out pseudo and network file systems, where statvfs
//! may hang) and statvfs, every [`SPACE_SAMPLES`] samples; /proc/diskstats in each. `used_percent` is that of df: used ÷ (used + available
//! to users), so space reserved for root counts as neither. Of several mounts of one device the shortest path is shown.
use std::collections::HashMap;
use std::fs;
use std::os::linux::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use procfs::{DiskStats, FromRead};
use rustix::fs::statvfs;
use sysinfo::{DiskRefreshKind, Disks};

use crate::limits::FILE_SYSTEMS;
use crate::record::Disk;

use super::read::growth;
use super::{SampleInterval, rounded};

/// Samples between two reads of the mounts and their space.
const SPACE_SAMPLES: u64 = 10;
/// The unit of /proc/diskstats, whatever the device's sector size.
const SECTOR: u64 = 512;

/// What the next sample needs.
#[derive(Debug, Default)]
pub(super) struct DiskSampler {
    disks: Option<Disks>,
    mounts: Vec<Mount>,
    devices: HashMap<String, Device>,
    count: u64,
}

#[derive(Debug)]
struct Mount {
    path: Arc<str>,
    /// Name in /proc/diskstats.
    device: Option<String>,
    used_percent: f64,
    free_bytes: u64,
}

/// Counters of a device since boot.
#[derive(Clone, Copy, Debug)]
struct Device {
    number: (i32, i32),
    read_bytes: u64,
    written_bytes: u64,
    busy_ms: u64,
}

impl DiskSampler {
    pub(super) fn sample(&mut self, interval: SampleInterval) -> Vec<Disk> {
        let devices = read_devices();
        if self.count.is_multiple_of(SPACE_SAMPLES) {
            self.look_at_mounts(&devices);
        }
        self.count += 1;
        let before = std::mem::replace(&mut self.devices, devices);
        let disk = |mount: &Mount| {
            let name = mount.device.as_ref();
            let pair = name.and_then(|name| Some((self.devices.get(name)?, before.get(name)?))).filter(|_| interval.length_ns.is_some());
            let grown = |of: fn(&Device) -> u64| pair.and_then(|(now, before)| growth(of(now), of(before)));
            let busy = grown(|device| device.busy_ms)
                .zip(interval.seconds())
                .map(|(ms, seconds)| rounded((ms as f64 / 10.0 / seconds).min(100.0)));
            Disk {
                mount: mount.path.clone(),
                used_percent: mount.used_percent,
                free_bytes: mount.free_bytes,
                read_bytes: grown(|device| device.read_bytes),
                write_bytes: grown(|device| device.written_bytes),
                busy_percent: busy,
                full_in_s: None,
            }
        };
        self.mounts.iter().map(disk).collect()
    }

    fn look_at_mounts(&mut self, devices: &HashMap<String, Device>) {
        let kind = DiskRefreshKind::nothing().with_storage();
        match &mut self.disks {
            Some(disks) => disks.refresh_specifics(true, kind),
            None => self.disks = Disks::new_with_refreshed_list_specifics(kind).ok(),
        }
        let mut found: Vec<&sysinfo::Disk> = self.disks.iter().flat_map(|disks| disks.iter()).filter(|disk| is_real(disk)).collect();
        found.sort_by_key(|disk| (disk.name().to_owned(), disk.mount_point().as_os_str().len()));
        found.dedup_by_key(|disk| disk.name().to_owned());
        found.sort_by_key(|disk| disk.mount_point().to_owned());
        found.truncate(FILE_SYSTEMS);
        self.mounts = found.into_iter().filter_map(|disk| mount(disk, devices)).collect();
    }
}

/// A file system with a device, a pool, or the root file system.
fn is_real(disk: &sysinfo::Disk) -> bool {
    let with_device = disk.name().as_encoded_bytes().starts_with(b"/dev/") || disk.file_system() == "zfs";
    disk.total_space() > 0 && (with_device || disk.mount_point() == Path::new("/"))
}

fn mount(disk: &sysinfo::Disk, devices: &HashMap<String, Device>) -> Option<Mount> {
    let space = statvfs(disk.mount_point()).ok()?;
    let (used, available) = (space.f_blocks.saturating_sub(space.f_bfree), space.f_bavail);
    Some(Mount {
        path: disk.mount_point().to_string_lossy().into(),
        device: device_of(disk, devices),
        used_percent: rounded(used as f64 * 100.0 / (used + available).max(1) as f64),
        free_bytes: available * space.f_frsize,
    })
}

/// Finds the device by its file (/dev/mapper/x is a link to /dev/dm-0), else by the number of the mount (/dev/root does not exist).
fn device_of(disk: &sysinfo::Disk, devices: &HashMap<String, Device>) -> Option<String> {
    let file =
        fs::canonicalize(disk.name()).ok().and_then(|path| path.strip_prefix("/dev").ok()?.to_str().map(|name| name.replace('/', "!")));
    let by_number = || {
        let number = fs::metadata(disk.mount_point()).ok()?.st_dev();
        // makedev(3)
        let (major, minor) = ((number >> 8) & 0xfff, (number & 0xff) | ((number >> 12) & 0xfff00));
        devices.iter().find(|(_, device)| device.number == (major as i32, minor as i32)).map(|(name, _)| name.clone())
    };
    file.filter(|name| devices.contains_key(name)).or_else(by_number)
}

fn read_devices() -> HashMap<String, Device> {
    let Ok(DiskStats(devices)) = DiskStats::from_file("/proc/diskstats") else { return HashMap::new() };
    let device = |device: procfs::DiskStat| {
        let counters = Device {
            number: (device.major, device.minor),
            read_bytes: device.sectors_read * SECTOR,
            written_bytes: device.sectors_written * SECTOR,
            busy_ms: device.time_in_progress,
        };
        (device.name, counters)
    };
    devices.into_iter().map(device).collect()
}
