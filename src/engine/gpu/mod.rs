//! The GPU, through wgpu: what every kernel needs, and no kernel.
//!
//! - [`Runner::take`] hands out arrays from a pool.
//! - [`Runner::run`] records one call of a kernel. Calls are carried out in the
//!   order in which they were recorded, later: all of a training step goes
//!   into one encoder and one compute pass, which is submitted when somebody
//!   uploads over an array that the pass uses, or reads.
//! - Compiled kernels and bind groups are kept. The numbers of the calls go
//!   into one uniform buffer, written once for each submission.
//! - What fails is kept as a [`Fault`]: from then on calls do nothing, and
//!   what is read is NaN.
//!
//! Kernels are checked: wgpu keeps each index inside its array. A kernel may
//! be run without these checks by [`Runner::run_trusted`] alone.

mod adapter;
pub mod gemm;
mod kernel;
mod memory;
mod profile;
mod record;
pub mod share;

pub use adapter::{Capabilities, StartError, adapters};
pub use kernel::{Groups, Kernel, Source, Word, words};
pub use memory::Array;
pub use profile::Timing;
pub use wgpu::Limits;

use super::fault::Fault;
use super::meter::Meter;
use kernel::Call;
use memory::Pool;
use record::Recording;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use wgpu::{
    Device, DeviceDescriptor, Error, Features, MemoryHints, PollError,
    PollType, Queue, SubmissionIndex,
};

/// How a GPU is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// A part of the adapter's name; else `WGPU_ADAPTER_NAME`, or the best.
    pub adapter: Option<String>,
    /// Limits to stay within, instead of all that the adapter allows.
    pub limits: Option<Limits>,
    /// Whether sums over a workgroup use subgroups, where there are any.
    pub subgroups: bool,
    /// Whether [`Runner::run_trusted`] leaves out the checks of indices.
    pub unchecked: bool,
    /// Whether every call is timed, see [`Runner::timings`].
    pub profile: bool,
    /// Whether arrays are filled with NaN when they are taken: for tests.
    pub poison: bool,
    /// How long to wait for an answer before the GPU is given up.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            adapter: None,
            limits: None,
            subgroups: true,
            unchecked: false,
            profile: false,
            poison: false,
            patience: Duration::from_secs(30),
        }
    }
}

/// A GPU that runs kernels.
#[derive(Debug)]
pub struct Runner {
    device: Device,
    queue: Queue,
    capabilities: Capabilities,
    options: Options,
    limits: Limits,
    pool: Arc<Pool>,
    recording: Mutex<Recording>,
    fault: Arc<OnceLock<Fault>>,
}

impl Runner {
    /// Starts the GPU that `options` say.
    pub fn start(options: Options) -> Result<Runner, StartError> {
        pollster::block_on(Runner::start_async(options))
    }

    /// [`Runner::start`], for a place that must not block.
    pub async fn start_async(options: Options) -> Result<Runner, StartError> {
        let adapter = adapter::choose(options.adapter.as_deref()).await?;
        let mut capabilities = adapter::capabilities(&adapter);
        let mut features = Features::empty();
        if capabilities.has_subgroups && options.subgroups {
            features |= Features::SUBGROUP;
        }
        if capabilities.has_timestamps && options.profile {
            features |= Features::TIMESTAMP_QUERY;
        }
        let limits = options.limits.clone();
        let limits = limits.unwrap_or_else(|| adapter.limits());
        capabilities.has_subgroups &= options.subgroups;
        capabilities.largest = limits
            .max_storage_buffer_binding_size
            .min(limits.max_buffer_size);
        let descriptor = DeviceDescriptor {
            label: Some("backprop"),
            required_features: features,
            required_limits: limits.clone(),
            memory_hints: MemoryHints::Performance,
            ..DeviceDescriptor::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|e| StartError::Refused {
                name: capabilities.name.clone(),
                what: e.to_string(),
            })?;
        let fault = Arc::new(OnceLock::new());
        watch(&device, &fault);
        Ok(Runner {
            recording: Mutex::new(Recording::new(&device, &limits)),
            pool: Pool::new(capabilities.largest),
            device,
            queue,
            capabilities,
            options,
            limits,
            fault,
        })
    }

    /// What this GPU can do, within the limits it was started with.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Why the GPU does not go on, if it does not.
    pub fn fault(&self) -> Option<Fault> {
        self.fault.get().cloned()
    }

    /// Counts the bytes of the arrays that are alive.
    pub fn meter(&self) -> &Meter {
        &self.pool.meter
    }

    /// An array of `len` numbers. What is in it is left over from its last
    /// user: write before you read.
    pub fn take(&self, len: usize) -> Array {
        let array = self.pool.take(&self.device, len, &self.fault);
        if self.options.poison {
            self.fill(&array, f32::NAN);
        }
        array
    }

    /// Sets every number to `value`.
    pub fn fill(&self, array: &Array, value: f32) {
        let n = array.len();
        self.run(&FILL, Groups::for_each(n), words![n, value], &[array]);
    }

    /// Copies all of `from` onto the equally long `to`.
    #[track_caller]
    pub fn copy(&self, from: &Array, to: &Array) {
        let n = from.len();
        assert_eq!(n, to.len(), "copy: lengths differ");
        self.run(&COPY, Groups::for_each(n), words![n, 0.], &[to, from]);
    }

    /// Records one call of `kernel` on `groups` workgroups, with `words` in
    /// its uniform struct and `arrays` at its bindings.
    ///
    /// Panics if an array is bound twice, once to be written, or if there are
    /// more than 24 words.
    #[track_caller]
    pub fn run(
        &self,
        kernel: &Kernel,
        groups: Groups,
        words: &[Word],
        arrays: &[&Array],
    ) {
        self.call(&Call {
            kernel,
            groups,
            words,
            arrays,
            trusted: false,
        });
    }

    /// [`Runner::run`] for a kernel whose every index into array `i`, if the call
    /// is `groups` and `words`, is below `reach[i]`, and into workgroup and
    /// private arrays within them, and whose loops end. If the options say so
    /// it runs without checks; the kernel's author answers for `reach`, which
    /// is held against the arrays here.
    ///
    /// Panics if an array is shorter than its reach.
    #[track_caller]
    pub fn run_trusted(
        &self,
        kernel: &Kernel,
        groups: Groups,
        words: &[Word],
        arrays: &[&Array],
        reach: &[usize],
    ) {
        assert_eq!(arrays.len(), reach.len(), "{}: reach", kernel.name);
        for (i, (array, reach)) in arrays.iter().zip(reach).enumerate() {
            let len = array.len();
            assert!(
                *reach <= len,
                "{}: array {i} has {len} numbers, {reach} are reached",
                kernel.name
            );
        }
        self.call(&Call {
            kernel,
            groups,
            words,
            arrays,
            trusted: self.options.unchecked,
        });
    }

    #[track_caller]
    fn call(&self, call: &Call) {
        if self.fault.get().is_some() {
            return;
        }
        let most = self.limits.max_compute_workgroups_per_dimension;
        let extents = match call.groups.extents(most) {
            Ok(extents) => extents,
            Err(need) => {
                let _ = self.fault.set(Fault::Limit {
                    what: format!("{}, in workgroups,", call.kernel.name),
                    need,
                    limit: most.into(),
                });
                return;
            }
        };
        if extents.contains(&0) {
            return;
        }
        self.lock().call(self, call, extents);
    }

    /// Copies 32-bit numbers of the host into `array`.
    #[track_caller]
    pub fn upload(&self, array: &Array, from: &[u32]) {
        assert_eq!(array.len(), from.len(), "upload: lengths differ");
        if self.fault.get().is_some() || from.is_empty() {
            return;
        }
        let mut recording = self.lock();
        // A write overtakes what is recorded and not yet submitted.
        if recording.uses(array) {
            recording.submit(self);
        }
        recording.written(array);
        let from = bytemuck::cast_slice(from);
        self.queue.write_buffer(&array.buffer, 0, from);
    }

    /// Starts to copy `array` to the host, to be [read](Runner::read) soon.
    pub fn prefetch(&self, array: &Array) {
        if self.fault.get().is_none() && !array.is_empty() {
            self.lock().stage(self, array);
        }
    }

    /// Waits for `array` and hands its numbers to `take`; NaNs if the GPU has
    /// failed or does not answer in time.
    pub fn read(&self, array: &Array, take: impl FnOnce(&[f32])) {
        if array.is_empty() {
            return take(&[]);
        }
        if let Some(staged) = self.staged(array) {
            let slice = staged.slice();
            slice.map_async(wgpu::MapMode::Read, |_| {});
            if self.wait(Some(&staged.submission)) {
                match slice.get_mapped_range() {
                    Ok(view) => {
                        take(bytemuck::cast_slice(&view));
                        drop(view);
                        staged.buffer.unmap();
                        self.lock().give_back(staged.buffer);
                        return;
                    }
                    Err(e) => {
                        let _ = self.fault.set(Fault::Lost(e.to_string()));
                    }
                }
            }
        }
        take(&vec![f32::NAN; array.len()]);
    }

    /// [`Runner::read`] for a place that must not block, such as a browser: the
    /// numbers come when the GPU has got that far.
    pub async fn read_async(&self, array: &Array) -> Result<Vec<f32>, Fault> {
        if array.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(staged) = self.staged(array) {
            let slice = staged.slice();
            let (answer, answered) = record::answer();
            slice.map_async(wgpu::MapMode::Read, move |r| {
                answer.give(r.is_ok())
            });
            // A browser calls back by itself, and there this does nothing.
            self.wait(Some(&staged.submission));
            if answered.await
                && let Ok(view) = slice.get_mapped_range()
            {
                let numbers = bytemuck::cast_slice(&view).to_vec();
                drop(view);
                staged.buffer.unmap();
                self.lock().give_back(staged.buffer);
                return Ok(numbers);
            }
        }
        let unknown = || Fault::Lost("the answer cannot be read".to_owned());
        Err(self.fault.get_or_init(unknown).clone())
    }

    fn staged(&self, array: &Array) -> Option<record::Staged> {
        match self.fault.get() {
            Some(_) => None,
            None => self.lock().staged(self, array),
        }
    }

    /// Hands all that is recorded to the GPU, which begins with it.
    pub fn submit(&self) {
        if self.fault.get().is_none() {
            self.lock().submit(self);
        }
    }

    /// Submits, and waits until all is done. Whether there is no fault.
    pub fn finish(&self) -> bool {
        self.submit();
        self.wait(None)
    }

    /// Times of the calls since the last time they were asked for, the longest
    /// first: if [`Options::profile`] is set and the GPU has a clock.
    pub fn timings(&self) -> Vec<Timing> {
        self.finish();
        self.lock().timings()
    }

    /// Gives the GPU up, as if it had been unplugged: for tests.
    pub fn destroy(&self) {
        self.device.destroy();
        self.wait(None); // the loss is told when there is nothing left to do
    }

    /// Waits for a submission, or for all. Whether there is no fault.
    fn wait(&self, submission: Option<&SubmissionIndex>) -> bool {
        let patience = self.options.patience;
        let polled = self.device.poll(PollType::Wait {
            submission_index: submission.cloned(),
            timeout: Some(patience),
        });
        if let Err(e) = polled {
            let _ = self.fault.set(match e {
                PollError::Timeout => Fault::TimedOut(patience.as_secs_f64()),
                e => Fault::Refused(e.to_string()),
            });
        }
        self.fault.get().is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the first thing that goes wrong.
fn watch(device: &Device, fault: &Arc<OnceLock<Fault>>) {
    let first = Arc::clone(fault);
    device.on_uncaptured_error(Arc::new(move |error| {
        let _ = first.set(match error {
            Error::OutOfMemory { .. } => Fault::OutOfMemory,
            e => Fault::Refused(e.to_string()),
        });
    }));
    let first = Arc::clone(fault);
    device.set_device_lost_callback(move |reason, message| {
        // A driver that has no memory for a submission gives all up.
        let _ = first.set(match message.to_lowercase() {
            m if m.contains("out of memory") => Fault::OutOfMemory,
            m if m.is_empty() => {
                Fault::Lost(format!("{reason:?}").to_lowercase())
            }
            _ => Fault::Lost(message),
        });
    });
}

const MEMORY: Source = Source::Text(include_str!("memory.wgsl"));
const FILL: Kernel = Kernel {
    name: "fill",
    source: MEMORY,
    entry: "fill",
    bindings: &[0],
};
const COPY: Kernel = Kernel {
    name: "copy",
    source: MEMORY,
    entry: "copy",
    bindings: &[0, 1],
};
