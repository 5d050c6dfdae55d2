//! The ops around a language model's table, as the models call them: the
//! logits never exist whole, the bits do not depend on the number of threads,
//! and bad tokens are named. That they are right is asked in `ops`.

use backprop::backends::Cpu;
use backprop::device::{Device, Heads};
use backprop::engine::random;
use backprop::network::softmax_cross_entropy::IGNORE;
use ndarray::{Array2, ArrayD};

fn normal(seed: u64, shape: (usize, usize)) -> ArrayD<f64> {
    let x = random::normal(&mut random::rng(seed), shape, 0., 1.);
    // numbers that an f32 holds
    x.mapv(|x: f64| f64::from(x as f32)).into_dyn()
}

/// Tokens below `rows`, and labels of which some are missing.
fn tokens(n: usize, rows: usize) -> (Vec<usize>, Vec<usize>) {
    let ids = (0..n).map(|n| (n * n + 1) % rows).collect();
    let ignored = |n: usize| n % 4 == 1;
    let label = |n| {
        if ignored(n) {
            IGNORE
        } else {
            (3 * n + 1) % rows
        }
    };
    (ids, (0..n).map(label).collect())
}

/// Every op of this file once: a model of one layer with an adapter.
fn run<D: Device>(dev: &D, n: usize, d: usize, v: usize) -> Vec<ArrayD<f64>> {
    let up = |seed, shape| dev.upload(normal(seed, shape).view());
    let heads = Heads {
        batch: 1,
        queries: 2,
        keys: 1,
    };
    let (ids, labels) = tokens(n, v);
    let (ids, labels) = (dev.upload_ids(&ids), dev.upload_ids(&labels));
    let table = up(1, (v, d));
    let (w, a, b) = (up(2, (d, 8 * d)), up(3, (d, 3)), up(4, (3, 8 * d)));
    let mut dtable = up(5, (v, d));
    let mut da = up(6, (d, 3));
    let mut db = up(7, (3, 8 * d));

    let x = dev.embedding(&table, &ids);
    let y = dev.linear(&x, &w, &dev.zeros(&[8 * d]));
    let (y, h) = dev.lora(&x, &a, &b, 0.5, y);
    let y = dev.rope(y, heads, 100.);
    let mut out = vec![dev.read(&x), dev.read(&h), dev.read(&y)];

    let dy = dev.rope_vjp(y, heads, 100.);
    let dx = dev.linear_vjp_input(&w, &dy);
    let (ma, mb) = (&mut da, &mut db);
    let dx = dev.lora_vjp(&x, &h, &a, &b, 0.5, &dy, dx, ma, mb);
    dev.embedding_vjp(&ids, &dx, &mut dtable);
    out.push(dev.read(&dx));

    out.push(dev.read(&dev.unembed(&x, &table)));
    for smoothing in [0., 0.1] {
        let w = &table;
        let loss = dev.unembed_ce(&x, w, &labels, smoothing);
        let dw = Some(&mut dtable);
        let (same, dx) =
            dev.unembed_ce_grad(&x, w, &labels, smoothing, 0.5, dw);
        let (frozen, dx0) =
            dev.unembed_ce_grad(&x, w, &labels, smoothing, 0.5, None);
        let of = |t| dev.read(t);
        assert_eq!([of(&loss), of(&dx)], [of(&frozen), of(&dx0)]);
        assert_eq!(of(&loss), of(&same));
        out.extend([of(&loss), of(&dx)]);
    }
    out.extend([&dtable, &da, &db].map(|t| dev.read(t)));
    out
}

#[test]
#[cfg(feature = "parallel")]
fn the_same_bits_on_any_number_of_threads() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build()
            .unwrap()
            .install(|| run(&Cpu::new(), 600, 66, 9000))
    };
    let want = on(1);
    assert_eq!(on(2), want);
    assert_eq!(on(5), want);
}

#[test]
fn the_logits_never_exist_whole() {
    let (n, d, v) = (1024, 16, 8192);
    let dev = Cpu::new();
    let (x, w) = (dev.zeros(&[n, d]), dev.zeros(&[v, d]));
    let mut dw = dev.zeros(&[v, d]);
    let labels = dev.upload_ids(&vec![3; n]);
    let before = dev.meter().live();
    dev.meter().restart();
    let step = |dw| dev.unembed_ce_grad(&x, &w, &labels, 0., 1., Some(dw));
    let (loss, dx) = step(&mut dw);
    let peak = dev.meter().peak() - before;
    assert!((dev.read(&loss)[0] - (v as f64).ln()).abs() < 1e-5);
    assert!(peak < 4 * n * v / 3, "{peak} bytes of {}", 4 * n * v);
    // Nothing stays but the results.
    let kept = dev.meter().live() - before;
    assert_eq!(kept, 4 * (1 + n * d));
    drop((loss, dx));
}

#[test]
fn rows_without_a_label_are_not_learned() {
    let dev = Cpu::new();
    let x = normal(1, (3, 5));
    let labels = dev.upload_ids(&[4, IGNORE, 0]);
    let (loss, p) = dev.softmax_ce(dev.upload(x.view()), &labels, 0.1);
    let dx = dev.read(&dev.softmax_ce_vjp(p, &labels, 0.1, 1.));
    let some = Array2::from_shape_fn((2, 5), |(i, j)| x[[2 * i, j]]);
    let labels = dev.upload_ids(&[4, 0]);
    let some = dev.upload(some.view().into_dyn());
    let (want, p) = dev.softmax_ce(some, &labels, 0.1);
    let want_dx = dev.read(&dev.softmax_ce_vjp(p, &labels, 0.1, 1.));
    assert_eq!(dev.read(&loss), dev.read(&want));
    for j in 0..5 {
        let column = [0, 1, 2].map(|i| dx[[i, j]]);
        assert_eq!(column, [want_dx[[0, j]], 0., want_dx[[1, j]]]);
    }
}

#[test]
#[should_panic(expected = "softmax_ce: an empty batch has no mean: 0 of 2")]
fn no_row_with_a_label() {
    let dev = Cpu::new();
    let labels = dev.upload_ids(&[IGNORE; 2]);
    dev.unembed_ce(&dev.zeros(&[2, 3]), &dev.zeros(&[4, 3]), &labels, 0.);
}

#[test]
#[should_panic(expected = "embedding: token 4 in a table of V = 4 rows")]
fn a_token_out_of_range() {
    let dev = Cpu::new();
    dev.embedding(&dev.zeros(&[4, 3]), &dev.upload_ids(&[0, 4]));
}

#[test]
#[should_panic(expected = "embedding: token 4 in a table of V = 4 rows")]
fn a_token_out_of_range_on_the_way_back() {
    let dev = Cpu::new();
    let ids = dev.upload_ids(&[4]);
    dev.embedding_vjp(&ids, &dev.zeros(&[1, 3]), &mut dev.zeros(&[4, 3]));
}

#[test]
#[should_panic(expected = "softmax_ce: label 4 among 4 classes")]
fn a_label_out_of_range() {
    let dev = Cpu::new();
    let labels = dev.upload_ids(&[4]);
    dev.unembed_ce(&dev.zeros(&[1, 3]), &dev.zeros(&[4, 3]), &labels, 0.);
}
