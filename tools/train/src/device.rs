//! Where a run computes: `--device`, and `cargo train devices`.

use crate::{Error, Task};
use backprop::device::Device;
use clap::ValueEnum;
use std::sync::atomic::AtomicBool;

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// The processor, on all its cores.
    #[default]
    Cpu,
    /// The graphics card; `cargo train devices` lists what there is.
    Gpu,
}

/// Where a run computes, and what ends it early.
#[derive(Debug)]
pub struct On<'a, D> {
    /// The device.
    pub dev: &'a D,
    /// What it is called in the metrics: `cpu`, or `gpu: ` and its name.
    pub name: String,
    /// Set by Ctrl-C.
    pub stop: &'a AtomicBool,
}

impl<D> On<'_, D> {
    /// The value of `--device`, unless it is the default.
    pub(crate) fn option(&self) -> Option<&str> {
        let (kind, _) = self.name.split_once(": ")?;
        Some(kind)
    }
}

/// An error if the device has failed: what was read from it is worth nothing.
pub(crate) fn alive<D: Device>(dev: &D) -> Result<(), Error> {
    match dev.fault() {
        Some(fault) => Err(backprop::training::Error::from(fault).into()),
        None => Ok(()),
    }
}

/// Learns on the GPU; what it is is said once.
#[cfg(feature = "gpu")]
pub(crate) fn on_gpu(task: &Task, stop: &AtomicBool) -> Result<(), Error> {
    let dev = &backprop::backends::Gpu::start(Default::default())?;
    let name = dev.capabilities();
    eprintln!("GPU: {name}");
    let name = format!("gpu: {name}");
    crate::learn(task, &On { dev, name, stop })
}

/// Lists the GPUs.
#[cfg(feature = "gpu")]
pub(crate) fn list() -> Result<(), Error> {
    use crate::progress::say;
    use backprop::engine::gpu::{StartError, adapters};
    let adapters = adapters();
    if adapters.is_empty() {
        return Err(StartError::None.into());
    }
    for adapter in adapters {
        say(format_args!("{adapter}"));
    }
    say(format_args!(
        "\n--device gpu takes the first. WGPU_ADAPTER_NAME=NAME takes the first \
         with NAME in its name; WGPU_BACKEND=vulkan, metal or dx12 leaves out \
         the others."
    ));
    Ok(())
}

#[cfg(not(feature = "gpu"))]
pub(crate) fn on_gpu(_: &Task, _: &AtomicBool) -> Result<(), Error> {
    Err(hand_on())
}

#[cfg(not(feature = "gpu"))]
pub(crate) fn list() -> Result<(), Error> {
    Err(hand_on())
}

/// Runs the same command with a build that has the GPU, and ends with it.
#[cfg(not(feature = "gpu"))]
fn hand_on() -> Error {
    use std::process::Command;
    const BUILD: [&str; 7] = [
        "run",
        "--release",
        "--package",
        "train",
        "--features",
        "gpu",
        "--",
    ];
    let build = BUILD.join(" ");
    let Some(cargo) = std::env::var_os("CARGO") else {
        return Error::NoGpu(build);
    };
    eprintln!("This build has no GPU. Building one that has: cargo {build} …");
    let mut command = Command::new(&cargo);
    command.args(BUILD).args(std::env::args_os().skip(1));
    let source = replace(&mut command);
    let cargo = cargo.display().to_string();
    Error::Cargo { cargo, source }
}

/// Becomes the command: Ctrl-C and its exit code are its own.
#[cfg(all(unix, not(feature = "gpu")))]
fn replace(command: &mut std::process::Command) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

/// Waits for the command and ends as it does. Ctrl-C goes to both, and asks the
/// command for an orderly end.
#[cfg(all(not(unix), not(feature = "gpu")))]
fn replace(command: &mut std::process::Command) -> std::io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(2)),
        Err(e) => e,
    }
}
