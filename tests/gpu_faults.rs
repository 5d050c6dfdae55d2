//! What a GPU does that cannot go on: it says why, hangs nowhere, and hands
//! out nothing but NaN.

mod gpu;

use backprop::backends::Gpu;
use backprop::device::{Device, Fault};
use backprop::engine::gpu::{Limits, Options, StartError};
use ndarray::ArrayD;
use std::process::Command;
use std::time::{Duration, Instant};

/// What is read is NaN, and the ops do nothing.
#[track_caller]
fn is_dead(dev: &Gpu) {
    let x = dev.upload(ArrayD::from_elem(vec![3, 3], 1.).view());
    let y = dev.linear(&x, &x, &dev.zeros(&[3]));
    dev.prefetch(&y);
    assert!(dev.read(&y).iter().all(|y| y.is_nan()));
    assert!(pollster::block_on(dev.read_async(&y)).is_err());
    assert!(!dev.runner().finish());
}

/// A product that takes a while.
fn work(dev: &Gpu) -> backprop::backends::GpuTensor {
    let x = dev.zeros(&[200, 200]);
    dev.linear(&x, &x, &dev.zeros(&[200]))
}

fn an_adapter_that_is_not_there() {
    let options = Options {
        adapter: Some("no-such-gpu".into()),
        ..Options::default()
    };
    let Err(e) = Gpu::start(options) else {
        panic!("there is no such adapter");
    };
    let StartError::Unknown { asked, there } = &e else {
        panic!("{e}");
    };
    assert_eq!(asked, "no-such-gpu");
    let name = &gpu::shared().capabilities().name;
    assert!(there.contains(name), "{there:?}");
    assert!(e.to_string().contains(name), "{e}");
}

fn with_limits(limits: Limits) -> Gpu {
    gpu::start(Options {
        limits: Some(limits),
        ..Options::default()
    })
}

fn a_tensor_that_is_too_large() {
    for largest in [1 << 20, 3 << 20] {
        let dev = with_limits(Limits {
            max_storage_buffer_binding_size: largest,
            max_buffer_size: largest,
            ..Limits::default()
        });
        assert_eq!(dev.capabilities().largest, largest);
        let n = largest as usize / 4;
        let all = dev.zeros(&[n]);
        assert!(dev.read(&all).iter().all(|x| *x == 0.));
        assert_eq!(dev.fault(), None);
        let _more = dev.zeros(&[n + 1]);
        let what = format!("bytes for a tensor of {} numbers", n + 1);
        let (need, limit) = (largest + 4, largest);
        assert_eq!(dev.fault(), Some(Fault::Limit { what, need, limit }));
        is_dead(&dev);
    }
}

fn more_workgroups_than_there_can_be() {
    let dev = with_limits(Limits {
        max_compute_workgroups_per_dimension: 4,
        ..Limits::default()
    });
    let n = 4 * 4 * 256 * 4; // an invocation has four
    let all = dev.zeros(&[n]);
    assert!(dev.read(&all).iter().all(|x| *x == 0.));
    let _more = dev.zeros(&[n + 1]);
    let what = "workgroups of fill".into();
    let (need, limit) = (17, 4);
    assert_eq!(dev.fault(), Some(Fault::Limit { what, need, limit }));
    is_dead(&dev);
}

fn lost(dev: &Gpu) -> String {
    match dev.fault() {
        Some(Fault::Lost(what)) => what,
        other => panic!("{other:?}"),
    }
}

/// Whatever is asked of it next.
fn a_gpu_that_is_lost() {
    type Ask = fn(&Gpu);
    let next: [(&str, Ask); 6] = [
        ("an op", |dev| {
            let y = work(dev);
            assert!(dev.read(&y).iter().all(|y| y.is_nan()));
        }),
        ("an upload", |dev| {
            let x = dev.upload(ArrayD::zeros(vec![5]).view());
            assert!(dev.read(&x).iter().all(|x| x.is_nan()));
        }),
        ("a wait", |dev| assert!(!dev.runner().finish())),
        ("a new kernel", |dev| {
            let y = dev.unembed(&dev.zeros(&[3, 3]), &dev.zeros(&[3, 3]));
            assert!(dev.read(&y).iter().all(|y| y.is_nan()));
        }),
        ("memory", |dev| {
            let y = dev.zeros(&[100_000]);
            assert!(dev.read(&y).iter().all(|y| y.is_nan()));
        }),
        ("an answer later", |dev| {
            let y = work(dev);
            assert!(pollster::block_on(dev.read_async(&y)).is_err());
        }),
    ];
    for (what, ask) in next {
        let dev = gpu::start(Options::default());
        let y = work(&dev);
        assert!(dev.read(&y).iter().all(|y| *y == 0.));
        dev.runner().destroy();
        ask(&dev);
        eprintln!("{what}: lost: {}", lost(&dev));
        is_dead(&dev);
    }
}

/// While calls are recorded, while they run, and while numbers are on their way
/// to the host.
fn a_gpu_that_is_lost_in_the_middle() {
    let when: [fn(&Gpu, &backprop::backends::GpuTensor); 3] = [
        |_, _| (),
        |dev, _| dev.runner().submit(),
        |dev, y| {
            dev.prefetch(y);
            dev.runner().submit();
        },
    ];
    for before in when {
        let dev = gpu::start(Options::default());
        let y = work(&dev);
        before(&dev, &y);
        dev.runner().destroy();
        assert!(dev.read(&y).iter().all(|y| y.is_nan()));
        eprintln!("lost: {}", lost(&dev));
        is_dead(&dev);
    }
}

fn no_answer_in_time() {
    let dev = gpu::start(Options {
        patience: Duration::from_micros(1),
        ..Options::default()
    });
    let start = Instant::now();
    let mut y = work(&dev);
    for _ in 0..20 {
        y = dev.linear(&y, &y, &dev.zeros(&[200]));
    }
    assert!(dev.read(&y).iter().all(|y| y.is_nan()));
    assert_eq!(dev.fault(), Some(Fault::TimedOut(1e-6)));
    is_dead(&dev);
    drop(dev);
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// In a process that may take four gigabytes, since the memory of a software
/// adapter is that of the process; that of a card is not to be filled up by a
/// test.
fn no_memory_left() {
    const NAME: &str = "no_memory_left";
    if std::env::var_os("BACKPROP_SMALL").is_some() {
        let dev = gpu::start(Options::default());
        let mut kept = Vec::new();
        while dev.fault().is_none() && kept.len() < 100 {
            kept.push(dev.zeros(&[25 << 20]));
        }
        assert_eq!(dev.fault(), Some(Fault::OutOfMemory), "{}", kept.len());
        is_dead(&dev);
        // what is given back does not bring it back
        drop(kept);
        is_dead(&dev);
        return;
    }
    let is_software = gpu::shared().capabilities().kind == "software";
    if !cfg!(target_os = "linux") || !is_software {
        return eprintln!("{NAME}: not on this adapter");
    }
    let me = std::env::current_exe().unwrap();
    let out = Command::new("sh")
        .args(["-c", "ulimit -v 4000000 && exec \"$0\" --exact \"$1\""])
        .arg(me)
        .arg(NAME)
        .env("BACKPROP_SMALL", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said.contains("1 passed"), "{out:?}");
}

/// The first fault is the one that is told.
fn the_first_fault_stays() {
    let dev = with_limits(Limits {
        max_storage_buffer_binding_size: 1 << 20,
        max_buffer_size: 1 << 20,
        ..Limits::default()
    });
    let _too_large = dev.zeros(&[1 << 20]);
    dev.runner().destroy();
    assert!(!dev.runner().finish());
    assert!(matches!(dev.fault(), Some(Fault::Limit { .. })));
}

gpu::tests![
    an_adapter_that_is_not_there,
    a_tensor_that_is_too_large,
    more_workgroups_than_there_can_be,
    a_gpu_that_is_lost,
    a_gpu_that_is_lost_in_the_middle,
    no_answer_in_time,
    no_memory_left,
    the_first_fault_stays,
];
