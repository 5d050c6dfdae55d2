//! Which GPU there is, and what it can do.

use std::fmt;
use wgpu::{
    Adapter, Backend, DeviceType, Features, Instance, InstanceDescriptor,
    Limits,
};

/// Why the GPU cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no adapter at all.
    #[error(
        "no GPU was found: no driver for Vulkan, Metal or Direct3D 12 offers \
         one. Install the driver of your graphics card, or on Linux the \
         software adapter (mesa-vulkan-drivers), or use --device cpu. If \
         WGPU_BACKEND is set, it is to be vulkan, metal or dx12"
    )]
    None,
    /// None has the name that was asked for.
    #[error(
        "no GPU is called {asked:?}. There is {}. Set WGPU_ADAPTER_NAME to a \
         part of one of these names, or leave it out", .there.join(", ")
    )]
    Unknown {
        /// The part of a name that was asked for.
        asked: String,
        /// The names there are.
        there: Vec<String>,
    },
    /// The adapter cannot do what is asked for.
    #[error(
        "{name} cannot be started: {what}. Use another GPU, or --device cpu"
    )]
    Refused {
        /// The adapter.
        name: String,
        /// What the driver says.
        what: String,
    },
}

/// What is known of an adapter before it is started.
#[derive(Clone, Debug, PartialEq)]
pub struct Capabilities {
    /// The name that the driver gives it.
    pub name: String,
    /// Vulkan, Metal or Direct3D 12.
    pub api: String,
    /// The driver and its version.
    pub driver: String,
    /// Whether it is a card of its own, part of the processor, or software.
    pub kind: &'static str,
    /// The fewest and the most lanes of a subgroup; zeros if unknown.
    pub subgroup: [u32; 2],
    /// Whether kernels may add up over a subgroup.
    pub has_subgroups: bool,
    /// Whether ops can be timed.
    pub has_timestamps: bool,
    /// The largest tensor, in bytes.
    pub largest: u64,
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Capabilities {
            name, api, driver, ..
        } = self;
        write!(f, "{name} ({}), {api}, {driver}", self.kind)?;
        let [least, most] = self.subgroup;
        match (self.has_subgroups, least == most) {
            (false, _) => write!(f, "; no subgroups")?,
            (true, true) => write!(f, "; subgroups of {least}")?,
            (true, false) => write!(f, "; subgroups of {least} to {most}")?,
        }
        write!(f, "; tensors up to {} MiB", self.largest >> 20)
    }
}

pub(super) fn capabilities(adapter: &Adapter) -> Capabilities {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let has = |feature| adapter.features().contains(feature);
    let driver = format!("{} {}", info.driver, info.driver_info);
    Capabilities {
        name: info.name,
        api: format!("{:?}", info.backend),
        driver: driver.trim().to_owned(),
        kind: match info.device_type {
            DeviceType::DiscreteGpu => "a graphics card",
            DeviceType::IntegratedGpu => "part of the processor",
            DeviceType::VirtualGpu => "virtual",
            DeviceType::Cpu => "software",
            DeviceType::Other => "unknown kind",
        },
        subgroup: [info.subgroup_min_size, info.subgroup_max_size],
        // A browser has another WGSL for them.
        has_subgroups: has(Features::SUBGROUP)
            && info.backend != Backend::BrowserWebGpu,
        has_timestamps: has(Features::TIMESTAMP_QUERY),
        largest: largest(&limits),
    }
}

/// The largest tensor, in bytes: kernels count with 32 bits, up to the end of
/// the last of 65,535 rows of workgroups.
pub(super) fn largest(limits: &Limits) -> u64 {
    limits
        .max_storage_buffer_binding_size
        .min(limits.max_buffer_size)
        .min(4 * 65_535 * 65_536)
}

/// What every kernel takes for granted, WebGPU's own limits; or the first
/// limit that is too low.
pub(super) fn check(limits: &Limits) -> Result<(), String> {
    let least = Limits::default();
    macro_rules! at_least {
        ($($limit:ident)*) => { $(
            let (have, need) = (limits.$limit, least.$limit);
            if have < need {
                let name = stringify!($limit);
                return Err(format!("{name} is {have}, not {need} or more"));
            }
        )* };
    }
    at_least! {
        max_compute_invocations_per_workgroup
        max_compute_workgroup_size_x
        max_compute_workgroup_storage_size
        max_storage_buffers_per_shader_stage
    }
    if limits.max_compute_workgroups_per_dimension == 0 {
        return Err("max_compute_workgroups_per_dimension is 0".into());
    }
    let alignment = limits.min_uniform_buffer_offset_alignment;
    if alignment > least.min_uniform_buffer_offset_alignment {
        return Err(format!(
            "min_uniform_buffer_offset_alignment is {alignment}, not {} or \
             less",
            least.min_uniform_buffer_offset_alignment
        ));
    }
    Ok(())
}

/// The adapters there are, the one that is taken unless told otherwise first.
///
/// `WGPU_BACKEND` (`vulkan`, `metal`, `dx12`) leaves out others.
pub fn adapters() -> Vec<Capabilities> {
    let mut found = pollster::block_on(found());
    let named = std::env::var("WGPU_ADAPTER_NAME").ok();
    if let Some(at) = named.and_then(|name| position(&found, &name)) {
        found[..=at].rotate_right(1);
    }
    found.iter().map(capabilities).collect()
}

/// The first with `name` in its name, whatever the case.
fn position(found: &[Adapter], name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    let has = |a: &Adapter| a.get_info().name.to_lowercase().contains(&name);
    found.iter().position(has)
}

/// In the order in which they are preferred. One that cannot do what WebGPU
/// asks for is left out.
async fn found() -> Vec<Adapter> {
    if Instance::enabled_backend_features().is_empty() {
        return Vec::new(); // an instance would panic
    }
    let descriptor = InstanceDescriptor::new_without_display_handle_from_env();
    let backends = descriptor.backends;
    let instance = Instance::new(descriptor);
    let mut found = instance.enumerate_adapters(backends).await;
    found.retain(|a| a.get_downlevel_capabilities().is_webgpu_compliant());
    found.sort_by_key(|a| match a.get_info().device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    });
    found
}

/// The first adapter with `name` in its name, whatever the case; without a
/// name, `WGPU_ADAPTER_NAME`, or else the first.
pub(super) async fn choose(name: Option<&str>) -> Result<Adapter, StartError> {
    let mut found = found().await;
    if found.is_empty() {
        return Err(StartError::None);
    }
    let from_environment = std::env::var("WGPU_ADAPTER_NAME").ok();
    let Some(asked) = name.map(str::to_owned).or(from_environment) else {
        return Ok(found.swap_remove(0));
    };
    match position(&found, &asked) {
        Some(at) => Ok(found.swap_remove(at)),
        None => {
            let there = found.iter().map(|a| a.get_info().name).collect();
            Err(StartError::Unknown { asked, there })
        }
    }
}
