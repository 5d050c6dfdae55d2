//! The GPU, through wgpu: what every kernel needs, and the matrix product.
//!
//! - [`Runner::take`] hands out arrays from a pool, [`Runner::tensor`] arrays
//!   with a shape.
//! - [`Runner::run`] records one call of a kernel. Calls are carried out in the
//!   order in which they were recorded, later: all of a training step goes
//!   into one encoder and one compute pass. It is submitted when somebody
//!   reads, or uploads over an array that the pass uses, and after 2048 calls.
//! - Compiled kernels and bind groups are kept. The numbers of the calls go
//!   into one uniform buffer, written once for each submission.
//! - What fails is kept as a [`Fault`]: from then on calls do nothing, and
//!   what is read is NaN.
//!
//! Kernels are checked: wgpu keeps each index inside the array that is bound.
//! A kernel may be run without these checks by [`Runner::run_trusted`] alone.

mod adapter;
pub mod gemm;
mod kernel;
mod memory;
mod profile;
mod record;
pub mod share;
mod tensor;

pub use adapter::{Capabilities, StartError, adapters};
pub use kernel::{Groups, Kernel, Source, Word, words};
pub use memory::Array;
pub use profile::Timing;
pub use tensor::{Ids, Tensor};
pub use wgpu::Limits;

use super::fault::Fault;
use super::meter::Meter;
use kernel::Call;
use memory::Pool;
use record::{Recording, Submission};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use wgpu::{
    Device, DeviceDescriptor, Error, Features, MemoryHints, PollError,
    PollType, Queue,
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
    /// How long to wait for one submission before the GPU is given up.
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
            patience: Duration::from_secs(120),
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
        capabilities.largest = adapter::largest(&limits);
        adapter::check(&limits).map_err(|what| StartError::Refused {
            name: capabilities.name.clone(),
            what,
        })?;
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
            recording: Mutex::new(Recording::new(&device)),
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
        let array = self.pool.take(&self.device, len, &self.fault, |_| true);
        if self.options.poison {
            self.fill(&array, f32::NAN);
        }
        array
    }

    /// Sets every number to `value`.
    pub fn fill(&self, array: &Array, value: f32) {
        let n = array.len().div_ceil(4);
        let words = words![n, value.to_bits()];
        self.run(&FILL, Groups::for_each(n), words, &[array]);
    }

    /// Copies all of `from` onto the equally long `to`.
    #[track_caller]
    pub fn copy(&self, from: &Array, to: &Array) {
        assert_eq!(from.len(), to.len(), "copy: lengths differ");
        let n = from.len().div_ceil(4);
        self.run(&COPY, Groups::for_each(n), words![n, 0u32], &[to, from]);
    }

    /// Records one call of `kernel` on `groups` workgroups, with `words` in
    /// its uniform struct and `arrays` at its bindings.
    ///
    /// Panics if an array is bound twice, once to be written, if the arrays are
    /// not as many as the bindings or more than 8, if there are more than 24
    /// words, or if another kernel has the same name.
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

    /// [`Runner::run`], without checks if the options say so. `reach` is held
    /// against the arrays here.
    ///
    /// Panics as [`Runner::run`] does, and if an array is shorter than its
    /// reach.
    ///
    /// # Safety
    ///
    /// If the kernel is called with these `groups` and `words`, each of its
    /// indices into array `i` is below `reach[i]`, those into workgroup and
    /// private arrays are inside them, no divisor is zero, and its loops end.
    #[track_caller]
    pub unsafe fn run_trusted(
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
                    what: format!("workgroups of {}", call.kernel.name),
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
        self.throttle();
    }

    /// An array with these 32-bit numbers of the host, in a buffer that no
    /// recorded call uses: the recording goes on.
    pub fn uploaded(&self, from: &[u32]) -> Array {
        let array = {
            let recording = self.lock();
            let is_free = |id| !recording.uses(id);
            self.pool
                .take(&self.device, from.len(), &self.fault, is_free)
        };
        self.upload(&array, from);
        array
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
        if recording.uses(array.id) {
            recording.submit(self);
        }
        recording.written(array);
        let from = bytemuck::cast_slice(from);
        self.queue.write_buffer(&array.buffer, 0, from);
        drop(recording);
        self.throttle();
    }

    /// Starts to copy `array` to the host, to be [read](Runner::read) soon.
    pub fn prefetch(&self, array: &Array) {
        if self.fault.get().is_none() && !array.is_empty() {
            self.lock().stage(self, array);
        }
    }

    /// Waits for `array` and hands its numbers to `take`. Returns whether there
    /// are any: not if the GPU has failed or does not answer in time.
    ///
    /// In a browser nothing can wait: see [`Runner::read_async`].
    #[must_use]
    pub fn read(&self, array: &Array, take: impl FnOnce(&[f32])) -> bool {
        if array.is_empty() {
            take(&[]);
            return true;
        }
        let Some(staged) = self.staged(array) else {
            return false;
        };
        let slice = staged.slice();
        slice.map_async(wgpu::MapMode::Read, |_| {});
        if !self.wait(Some(&staged.submission)) {
            return false;
        }
        match slice.get_mapped_range() {
            Ok(view) => {
                take(bytemuck::cast_slice(&view));
                drop(view);
                staged.buffer.unmap();
                self.lock().give_back(staged.buffer);
                true
            }
            Err(e) => {
                let _ = self.fault.set(Fault::Lost(e.to_string()));
                false
            }
        }
    }

    /// [`Runner::read`] for a browser, which must not block: the numbers come
    /// when the GPU has got that far. Elsewhere it waits when it is first
    /// polled.
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
            if self.wait(Some(&staged.submission))
                && answered.await
                && self.fault.get().is_none()
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
            self.throttle();
        }
    }

    /// Submits, and waits until all is done. Whether there is no fault. In a
    /// browser it does not wait.
    pub fn finish(&self) -> bool {
        self.submit();
        self.wait(None)
    }

    /// How many times something was submitted.
    pub fn submissions(&self) -> u64 {
        self.lock().submissions()
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
        self.poll(None); // the loss is told when somebody asks
    }

    /// Waits for a submission and all before it, or for all there are, with
    /// patience for each. Whether there is no fault.
    fn wait(&self, submission: Option<&Submission>) -> bool {
        let target = submission.map_or(u64::MAX, |s| s.number);
        let oldest = || self.lock().oldest(target);
        while let Some(first) = oldest() {
            if !self.poll(Some(&first)) {
                return false;
            }
            self.lock().is_done(&first);
        }
        // For buffers that were to be mapped after it was done.
        self.poll(submission)
    }

    /// Waits while too many submissions are on their way.
    fn throttle(&self) {
        let too_far = || self.lock().too_far_ahead();
        while let Some(first) = too_far() {
            if !self.poll(Some(&first)) {
                return;
            }
            self.lock().is_done(&first);
        }
    }

    /// Waits for a submission, or for the last. Whether there is no fault.
    fn poll(&self, submission: Option<&Submission>) -> bool {
        let patience = self.options.patience;
        let poll = || {
            self.device.poll(PollType::Wait {
                submission_index: submission.map(|s| s.index.clone()),
                timeout: Some(patience),
            })
        };
        // wgpu panics where the driver says that the device is lost. The
        // message of the panic is printed; what counts is the fault.
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Ok(_)) => {}
            Ok(Err(PollError::Timeout)) => {
                let fault = Fault::TimedOut(patience.as_secs_f64());
                let _ = self.fault.set(fault);
            }
            Ok(Err(e)) => {
                let _ = self.fault.set(Fault::Refused(e.to_string()));
            }
            Err(_) => {
                let what = "the driver reports it as lost".to_owned();
                let _ = self.fault.set(Fault::Lost(what));
            }
        }
        self.fault.get().is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(Fault::TimedOut(_)) = self.fault.get() {
            // A queue that is dropped waits until it is empty: for ever, if
            // the driver hangs.
            std::mem::forget(self.queue.clone());
        }
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

/// A GPU for a test. Where there is none, `None` and a word about it; or a
/// panic, if `BACKPROP_GPU` is `required`.
#[cfg(test)]
pub(crate) fn for_test(options: Options) -> Option<Runner> {
    let required = std::env::var("BACKPROP_GPU");
    match Runner::start(options) {
        Ok(run) => Some(run),
        Err(StartError::None) if required.as_deref() != Ok("required") => {
            eprintln!("skipped: no adapter");
            None
        }
        Err(e) => panic!("{e}"),
    }
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
