//! What each kernel takes, by the GPU's own clock.

use super::Runner;
use super::record::Submission;
use std::collections::HashMap;
use std::time::Duration;
use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, CommandEncoder,
    ComputePassTimestampWrites, Device, MapMode, QuerySet, QuerySetDescriptor,
    QueryType,
};

/// The most calls between two submissions.
const CALLS: u32 = 1024;

/// The calls of one kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// The kernel.
    pub kernel: String,
    /// How often it was called.
    pub calls: u64,
    /// How long it took in all.
    pub time: Duration,
}

#[derive(Debug)]
pub(super) struct Clock {
    queries: QuerySet,
    resolved: Buffer,
    host: Buffer,
    /// The kernels of the calls that are not yet submitted.
    called: Vec<String>,
    /// Calls, and nanoseconds.
    sums: HashMap<String, (u64, f64)>,
}

impl Clock {
    pub fn new(device: &Device) -> Clock {
        let buffer = |usage| {
            device.create_buffer(&BufferDescriptor {
                label: Some("clock"),
                size: u64::from(CALLS) * 16,
                usage,
                mapped_at_creation: false,
            })
        };
        Clock {
            queries: device.create_query_set(&QuerySetDescriptor {
                label: None,
                ty: QueryType::Timestamp,
                count: 2 * CALLS,
            }),
            resolved: buffer(
                BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
            ),
            host: buffer(BufferUsages::MAP_READ | BufferUsages::COPY_DST),
            called: Vec::new(),
            sums: HashMap::new(),
        }
    }

    pub fn is_full(&self) -> bool {
        self.called.len() == CALLS as usize
    }

    /// The two readings of the next call.
    pub fn next(&mut self, kernel: &str) -> ComputePassTimestampWrites<'_> {
        let at = 2 * self.called.len() as u32;
        self.called.push(kernel.to_owned());
        ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(at),
            end_of_pass_write_index: Some(at + 1),
        }
    }

    pub fn resolve(&mut self, encoder: &mut CommandEncoder) {
        let n = 2 * self.called.len() as u32;
        if n > 0 {
            encoder.resolve_query_set(&self.queries, 0..n, &self.resolved, 0);
            let bytes = u64::from(n) * 8;
            encoder.copy_buffer_to_buffer(
                &self.resolved,
                0,
                &self.host,
                0,
                bytes,
            );
        }
    }

    /// Waits for the readings, and adds them up.
    pub fn collect(&mut self, gpu: &Runner, submission: &Submission) {
        let called = std::mem::take(&mut self.called);
        if called.is_empty() {
            return;
        }
        let slice = self.host.slice(..called.len() as u64 * 16);
        slice.map_async(MapMode::Read, |_| {});
        if !gpu.poll(Some(submission)) {
            return;
        }
        if let Ok(view) = slice.get_mapped_range() {
            let ticks: &[u64] = bytemuck::cast_slice(&view);
            let period = f64::from(gpu.queue.get_timestamp_period());
            for (kernel, ticks) in called.into_iter().zip(ticks.chunks(2)) {
                let sum = self.sums.entry(kernel).or_default();
                sum.0 += 1;
                sum.1 += ticks[1].saturating_sub(ticks[0]) as f64 * period;
            }
        }
        self.host.unmap();
    }

    pub fn timings(&mut self) -> Vec<Timing> {
        let sums = std::mem::take(&mut self.sums).into_iter();
        let mut timings: Vec<Timing> = sums
            .map(|(kernel, (calls, nanoseconds))| Timing {
                kernel,
                calls,
                time: Duration::from_nanos(nanoseconds as u64),
            })
            .collect();
        timings.sort_by_key(|t| (std::cmp::Reverse(t.time), t.kernel.clone()));
        timings
    }
}
