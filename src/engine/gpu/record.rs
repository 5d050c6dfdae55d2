//! Recording calls, and handing them to the GPU.

use super::kernel::{Call, Kernel, writes};
use super::profile::Clock;
use super::{Array, Runner, Timing};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindGroupLayout,
    BindGroupLayoutDescriptor, BindGroupLayoutEntry, BindingResource,
    BindingType, Buffer, BufferBinding, BufferBindingType, BufferDescriptor,
    BufferSize, BufferSlice, BufferUsages, CommandEncoder, ComputePass,
    ComputePassDescriptor, ComputePipeline, ComputePipelineDescriptor, Device,
    PipelineCompilationOptions, PipelineLayoutDescriptor,
    ShaderModuleDescriptor, ShaderRuntimeChecks, ShaderSource, ShaderStages,
    SubmissionIndex,
};

/// The most numbers of a call.
const WORDS: usize = 24;
/// The most arrays of a call, WebGPU's limit.
const ARRAYS: usize = 8;
/// The bytes that a call takes in the buffer of numbers: WebGPU's alignment.
const STRIDE: u32 = 256;
/// The most calls of a submission.
const CALLS: u32 = 2048;
/// How many submissions may wait for the GPU: the host does not run further
/// ahead.
const AHEAD: usize = 3;
/// Bind groups that are kept.
const BIND_GROUPS: usize = 1 << 14;

/// What is recorded and not yet submitted, and what is kept for the next time.
#[derive(Debug)]
pub(super) struct Recording {
    // The pass goes first: it holds on to the encoder.
    pass: Option<ComputePass<'static>>,
    encoder: Option<CommandEncoder>,
    /// The numbers of the calls.
    words: Vec<u8>,
    uniforms: Buffer,
    uniform_layout: BindGroupLayout,
    uniform_group: BindGroup,
    /// The buffers that recorded calls use.
    used: HashSet<u32>,
    /// Checked, and unchecked.
    pipelines: [HashMap<String, Arc<Pipeline>>; 2],
    bind_groups: HashMap<[u64; 1 + ARRAYS], BindGroup>,
    made: u64,
    staged: Vec<(u32, u64, Option<Submission>, Buffer)>,
    idle: Vec<Buffer>,
    /// Those that nobody has waited for, in their order.
    submitted: VecDeque<Submission>,
    submissions: u64,
    clock: Option<Clock>,
}

/// Calls that were handed to the GPU together.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub number: u64,
    pub index: SubmissionIndex,
}

#[derive(Debug)]
struct Pipeline {
    number: u64,
    entry: String,
    bindings: Vec<u32>,
    pipeline: ComputePipeline,
    layout: BindGroupLayout,
    writes: Vec<bool>,
}

/// Numbers on their way to the host.
pub(super) struct Staged {
    pub buffer: Buffer,
    bytes: u64,
    pub submission: Submission,
}

impl Staged {
    pub fn slice(&self) -> BufferSlice<'_> {
        self.buffer.slice(..self.bytes)
    }
}

impl Recording {
    pub fn new(device: &Device) -> Recording {
        let uniforms = device.create_buffer(&BufferDescriptor {
            label: Some("numbers of the calls"),
            size: u64::from(CALLS * STRIDE),
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let size = BufferSize::new(WORDS as u64 * 4);
        let entry = BindGroupLayoutEntry {
            binding: 0,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer {
                ty: BufferBindingType::Uniform,
                has_dynamic_offset: true,
                min_binding_size: None,
            },
            count: None,
        };
        let uniform_layout =
            device.create_bind_group_layout(&BindGroupLayoutDescriptor {
                label: None,
                entries: &[entry],
            });
        let uniform_group = device.create_bind_group(&BindGroupDescriptor {
            label: None,
            layout: &uniform_layout,
            entries: &[BindGroupEntry {
                binding: 0,
                resource: BindingResource::Buffer(BufferBinding {
                    buffer: &uniforms,
                    offset: 0,
                    size,
                }),
            }],
        });
        Recording {
            pass: None,
            encoder: None,
            words: Vec::new(),
            uniforms,
            uniform_layout,
            uniform_group,
            used: HashSet::new(),
            pipelines: Default::default(),
            bind_groups: HashMap::new(),
            made: 0,
            staged: Vec::new(),
            idle: Vec::new(),
            submitted: VecDeque::new(),
            submissions: 0,
            clock: None,
        }
    }

    #[track_caller]
    pub fn call(&mut self, gpu: &Runner, call: &Call, [x, y, z]: [u32; 3]) {
        let Call { kernel, arrays, .. } = call;
        let name = kernel.name;
        assert_eq!(kernel.bindings.len(), arrays.len(), "{name}: arrays");
        assert!(arrays.len() <= ARRAYS, "{name}: too many arrays");
        assert!(call.words.len() <= WORDS, "{name}: too many words");
        let pipeline = self.pipeline(gpu, kernel, call.trusted);
        for (i, (a, writes)) in arrays.iter().zip(&pipeline.writes).enumerate()
        {
            let mut others = arrays[..i].iter().zip(&pipeline.writes);
            let clash = others.any(|(b, w)| a.id == b.id && (*w || *writes));
            assert!(!clash, "{name}: array {i} is bound twice, and written");
            self.used.insert(a.id);
            if *writes {
                self.written(a);
            }
        }
        if self.words.len() == (CALLS * STRIDE) as usize {
            self.submit(gpu);
            self.used.extend(arrays.iter().map(|a| a.id));
        }
        let offset = self.words.len() as u32;
        for word in call.words {
            self.words.extend(word.0.to_le_bytes());
        }
        self.words.resize((offset + STRIDE) as usize, 0);
        let group = self.bind_group(gpu, &pipeline, kernel, arrays);
        if gpu.options.profile && gpu.capabilities.has_timestamps {
            return self.timed(gpu, call, &pipeline, &group, offset, [x, y, z]);
        }
        if self.pass.is_none() {
            let encoder = encoder(&mut self.encoder, gpu);
            let pass =
                encoder.begin_compute_pass(&ComputePassDescriptor::default());
            self.pass = Some(pass.forget_lifetime());
        }
        let pass = self.pass.as_mut().expect("just begun");
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.set_bind_group(1, &self.uniform_group, &[offset]);
        pass.dispatch_workgroups(x, y, z);
    }

    /// The call in a pass of its own, between two readings of the clock.
    fn timed(
        &mut self,
        gpu: &Runner,
        call: &Call,
        pipeline: &Pipeline,
        group: &BindGroup,
        offset: u32,
        [x, y, z]: [u32; 3],
    ) {
        let clock = self.clock.get_or_insert_with(|| Clock::new(&gpu.device));
        let encoder = encoder(&mut self.encoder, gpu);
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor {
            label: None,
            timestamp_writes: Some(clock.next(call.kernel.name)),
        });
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.set_bind_group(1, &self.uniform_group, &[offset]);
        pass.dispatch_workgroups(x, y, z);
        drop(pass);
        if clock.is_full() {
            self.submit(gpu);
        }
    }

    fn pipeline(
        &mut self,
        gpu: &Runner,
        kernel: &Kernel,
        trusted: bool,
    ) -> Arc<Pipeline> {
        let kept = &mut self.pipelines[usize::from(trusted)];
        if let Some(pipeline) = kept.get(kernel.name) {
            let Pipeline {
                entry, bindings, ..
            } = &**pipeline;
            assert!(
                entry == kernel.entry && bindings == kernel.bindings,
                "two kernels are called {}",
                kernel.name
            );
            return Arc::clone(pipeline);
        }
        let text = kernel.source.text();
        let writes: Vec<bool> =
            kernel.bindings.iter().map(|b| writes(&text, *b)).collect();
        let entries: Vec<BindGroupLayoutEntry> = kernel
            .bindings
            .iter()
            .zip(&writes)
            .map(|(binding, writes)| BindGroupLayoutEntry {
                binding: *binding,
                visibility: ShaderStages::COMPUTE,
                ty: BindingType::Buffer {
                    ty: BufferBindingType::Storage { read_only: !writes },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let device = &gpu.device;
        let layout =
            device.create_bind_group_layout(&BindGroupLayoutDescriptor {
                label: Some(kernel.name),
                entries: &entries,
            });
        let pipeline_layout =
            device.create_pipeline_layout(&PipelineLayoutDescriptor {
                label: Some(kernel.name),
                bind_group_layouts: &[
                    Some(&layout),
                    Some(&self.uniform_layout),
                ],
                immediate_size: 0,
            });
        let reduce = match gpu.capabilities.has_subgroups {
            true => include_str!("reduce_subgroups.wgsl"),
            false => include_str!("reduce.wgsl"),
        };
        let text = [include_str!("common.wgsl"), reduce, &text].concat();
        let module = module(device, kernel.name, text, trusted);
        let pipeline =
            device.create_compute_pipeline(&ComputePipelineDescriptor {
                label: Some(kernel.name),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some(kernel.entry),
                compilation_options: PipelineCompilationOptions {
                    // Kernels write workgroup memory before they read it.
                    zero_initialize_workgroup_memory: false,
                    ..PipelineCompilationOptions::default()
                },
                cache: None,
            });
        self.made += 1;
        let pipeline = Arc::new(Pipeline {
            number: self.made,
            entry: kernel.entry.to_owned(),
            bindings: kernel.bindings.to_owned(),
            pipeline,
            layout,
            writes,
        });
        kept.insert(kernel.name.to_owned(), Arc::clone(&pipeline));
        pipeline
    }

    fn bind_group(
        &mut self,
        gpu: &Runner,
        pipeline: &Pipeline,
        kernel: &Kernel,
        arrays: &[&Array],
    ) -> BindGroup {
        let mut key = [0; 1 + ARRAYS];
        key[0] = pipeline.number;
        for (key, array) in key[1..].iter_mut().zip(arrays) {
            *key = u64::from(array.id) << 40 | array.bound();
        }
        if let Some(group) = self.bind_groups.get(&key) {
            return group.clone();
        }
        let entries: Vec<BindGroupEntry> = kernel
            .bindings
            .iter()
            .zip(arrays)
            .map(|(binding, array)| BindGroupEntry {
                binding: *binding,
                resource: BindingResource::Buffer(BufferBinding {
                    buffer: &array.buffer,
                    offset: 0,
                    size: BufferSize::new(array.bound()),
                }),
            })
            .collect();
        let group = gpu.device.create_bind_group(&BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        });
        if self.bind_groups.len() == BIND_GROUPS {
            self.bind_groups.clear();
        }
        self.bind_groups.insert(key, group.clone());
        group
    }

    /// Whether a recorded call uses this buffer.
    pub fn uses(&self, id: u32) -> bool {
        self.used.contains(&id)
    }

    /// What was copied to the host is no longer what `array` holds.
    pub fn written(&mut self, array: &Array) {
        let idle = &mut self.idle;
        self.staged.retain(|(id, _, _, buffer)| {
            let keep = *id != array.id;
            if !keep {
                idle.push(buffer.clone());
            }
            keep
        });
    }

    /// Records a copy of `array` to a buffer that the host can see.
    pub fn stage(&mut self, gpu: &Runner, array: &Array) {
        let bytes = array.bytes();
        let is_staged =
            |(id, n, ..): &(u32, u64, _, _)| *id == array.id && *n == bytes;
        if self.staged.iter().any(is_staged) {
            return;
        }
        let idle = self.idle.iter().enumerate();
        let large_enough = idle.filter(|(_, b)| b.size() >= bytes);
        let smallest = large_enough.min_by_key(|(_, b)| b.size());
        let to = match smallest.map(|(at, _)| at) {
            Some(at) => self.idle.swap_remove(at),
            None => gpu.device.create_buffer(&BufferDescriptor {
                label: Some("to the host"),
                size: bytes
                    .next_power_of_two()
                    .max(256)
                    .min(gpu.limits.max_buffer_size & !3),
                usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }),
        };
        self.pass = None; // ends it
        let encoder = encoder(&mut self.encoder, gpu);
        encoder.copy_buffer_to_buffer(&array.buffer, 0, &to, 0, bytes);
        self.used.insert(array.id);
        self.staged.push((array.id, bytes, None, to));
    }

    /// The copy of `array` that was staged, or is now; submitted.
    pub fn staged(&mut self, gpu: &Runner, array: &Array) -> Option<Staged> {
        self.stage(gpu, array);
        let at = self
            .staged
            .iter()
            .position(|(id, n, ..)| *id == array.id && *n == array.bytes())?;
        if self.staged[at].2.is_none() {
            self.submit(gpu);
        }
        let (_, bytes, submission, buffer) = self.staged.swap_remove(at);
        Some(Staged {
            buffer,
            bytes,
            submission: submission?,
        })
    }

    pub fn give_back(&mut self, buffer: Buffer) {
        self.idle.push(buffer);
    }

    pub fn submit(&mut self, gpu: &Runner) {
        self.pass = None;
        let Some(mut encoder) = self.encoder.take() else {
            return;
        };
        if let Some(clock) = &mut self.clock {
            clock.resolve(&mut encoder);
        }
        if !self.words.is_empty() {
            gpu.queue.write_buffer(&self.uniforms, 0, &self.words);
            self.words.clear();
        }
        self.submissions += 1;
        let submission = Submission {
            number: self.submissions,
            index: gpu.queue.submit([encoder.finish()]),
        };
        self.used.clear();
        for staged in &mut self.staged {
            staged.2.get_or_insert_with(|| submission.clone());
        }
        if let Some(clock) = &mut self.clock {
            clock.collect(gpu, &submission);
        }
        self.submitted.push_back(submission);
    }

    pub fn submissions(&self) -> u64 {
        self.submissions
    }

    /// The first submission that nobody has waited for, up to `target`.
    pub fn oldest(&self, target: u64) -> Option<Submission> {
        let oldest = self.submitted.front();
        oldest.filter(|s| s.number <= target).cloned()
    }

    /// The same, if there are too many.
    pub fn too_far_ahead(&self) -> Option<Submission> {
        let oldest = self.submitted.front();
        oldest.filter(|_| self.submitted.len() > AHEAD).cloned()
    }

    pub fn is_done(&mut self, submission: &Submission) {
        self.submitted.retain(|s| s.number > submission.number);
    }

    pub fn timings(&mut self) -> Vec<Timing> {
        self.clock.as_mut().map(Clock::timings).unwrap_or_default()
    }
}

fn encoder<'e>(
    encoder: &'e mut Option<CommandEncoder>,
    gpu: &Runner,
) -> &'e mut CommandEncoder {
    encoder.get_or_insert_with(|| {
        gpu.device.create_command_encoder(&Default::default())
    })
}

/// The one place where checks may be left out.
fn module(
    device: &Device,
    name: &str,
    text: String,
    trusted: bool,
) -> wgpu::ShaderModule {
    let descriptor = ShaderModuleDescriptor {
        label: Some(name),
        source: ShaderSource::Wgsl(Cow::Owned(text)),
    };
    if !trusted {
        return device.create_shader_module(descriptor);
    }
    let checks = ShaderRuntimeChecks::unchecked();
    // SAFETY: `trusted` comes from `Runner::run_trusted` alone, which holds the
    // arrays of every call against the reach of its indices; that the kernel
    // stays within it, and ends, its author has made sure of.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}

/// An answer that comes later.
pub(super) fn answer() -> (Answer, Answered) {
    let shared = Shared::default();
    (Answer(Arc::clone(&shared)), Answered(shared))
}

type Shared = Arc<Mutex<(Option<bool>, Option<Waker>)>>;

pub(super) struct Answer(Shared);

impl Answer {
    pub fn give(&self, answer: bool) {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.0.get_or_insert(answer);
        let waker = shared.1.take();
        drop(shared); // who is woken may look at once
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Answer {
    /// A question that is dropped is answered too.
    fn drop(&mut self) {
        self.give(false);
    }
}

pub(super) struct Answered(Shared);

impl Future for Answered {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context) -> Poll<bool> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match shared.0 {
            Some(answer) => Poll::Ready(answer),
            None => {
                shared.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
