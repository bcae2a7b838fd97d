//! Counters of the machine and of this process's control groups.

use std::time::Duration;

use super::cpus::{CpuTicks, Steal};
use super::device::{DeviceCounters, DeviceFiles};
use super::pressure::{PressureCounters, PressureFiles};
use super::throttling::{ThrottledTimes, ThrottlingFiles};
use crate::host::mounts;
use crate::host::root::SystemRoot;
use crate::result::{DeviceActivity, Pressure};

/// Where the counters of the machine and of the control groups are.
#[derive(Debug, Clone)]
pub struct SystemCounters {
    root: SystemRoot,
    throttling: ThrottlingFiles,
    pressure: PressureFiles,
    device: Option<DeviceFiles>,
}

/// A reading of these counters.
#[derive(Debug, Clone)]
pub struct SystemReading {
    cpus: Option<CpuTicks>,
    throttled: ThrottledTimes,
    pressure: PressureCounters,
    device: Option<DeviceCounters>,
}

/// What the machine and the control groups did between two readings. Unknown values are `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SystemActivity {
    /// Time by which a CPU quota held CPUs back, summed over the CPUs.
    pub throttled: Option<Duration>,
    /// Steal time.
    pub steal: Option<Steal>,
    /// Pressure stall information.
    pub pressure: Pressure,
    /// Activity of the device.
    pub device: Option<DeviceActivity>,
}

impl SystemCounters {
    /// Finds the counters, including those of a block device if one is given.
    pub fn find(root: SystemRoot, device: Option<&str>) -> Self {
        let mounts = mounts::read(&root);
        Self {
            throttling: ThrottlingFiles::find(&root, &mounts),
            pressure: PressureFiles::find(&root, &mounts),
            device: device.map(|name| DeviceFiles::find(&root, &mounts, name)),
            root,
        }
    }

    /// Reads the counters.
    pub fn read(&self) -> SystemReading {
        SystemReading {
            cpus: CpuTicks::read(&self.root),
            pressure: self.pressure.read(),
            throttled: self.throttling.read(),
            device: self.device.as_ref().and_then(DeviceFiles::read),
        }
    }

    /// Returns the activity since an earlier reading.
    pub fn since(&self, before: &SystemReading) -> SystemActivity {
        let now = self.read();
        let device = self.device.as_ref();
        SystemActivity {
            throttled: now.throttled.since(&before.throttled),
            steal: now
                .cpus
                .zip(before.cpus)
                .and_then(|(now, before)| now.steal_since(&before)),
            pressure: now.pressure.since(&before.pressure),
            device: device.and_then(|device| device.activity(&before.device?, &now.device?)),
        }
    }
}
