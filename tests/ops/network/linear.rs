//! The linear layer: with all its gradients, with a frozen weight, in columns,
//! and a weight of low rank.

use crate::kit::{added, begun, d1, d2, nested, up};
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::device::Device;
use backprop::network::linear;
use ndarray::{Array1, Array2};
use serde_json::json;

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            inputs: &["x", "w", "b"],
            sample: |s, Dims { b, i, o }| {
                vec![s.normal(&[b, i]), s.normal(&[i, o]), s.normal(&[o])]
            },
            // With one output db is one sum, and 127 numbers may cancel.
            device: on_device!(on_device, 2e-5),
            ..Op::vjp(
                "linear",
                |p| linear::forward(d2(&p[0]), d2(&p[1]), d1(&p[2])).into_dyn(),
                |p, dy| {
                    let (dx, dw, db) =
                        linear::vjp(d2(&p[0]), d2(&p[1]), d2(dy));
                    vec![dx.into_dyn(), dw.into_dyn(), db.into_dyn()]
                },
            )
        },
        Op {
            with: |p| json!({ "w": nested(&frozen(p[0].shape()[1])) }),
            ..Op::vjp(
                "linear_frozen",
                |p| {
                    let w = frozen(p[0].shape()[1]);
                    let b = Array1::zeros(w.ncols());
                    linear::forward(d2(&p[0]), w.view(), b.view()).into_dyn()
                },
                |p, dy| {
                    let w = frozen(p[0].shape()[1]);
                    vec![linear::vjp_input(w.view(), d2(dy)).into_dyn()]
                },
            )
        },
        Op {
            inputs: &["w", "a", "b"],
            sample: |s, Dims { b, i, o }| {
                vec![s.normal(&[o, i]), s.normal(&[i, b]), s.normal(&[o])]
            },
            ..Op::vjp(
                "linear_columns",
                |p| {
                    linear::columns::forward(d2(&p[0]), d2(&p[1]), d1(&p[2]))
                        .into_dyn()
                },
                |p, dz| {
                    let (dw, da, db) =
                        linear::columns::vjp(d2(&p[0]), d2(&p[1]), d2(dz));
                    vec![dw.into_dyn(), da.into_dyn(), db.into_dyn()]
                },
            )
        },
        Op {
            inputs: &["u", "v"],
            sample: |s, Dims { b, i, o }| {
                vec![s.normal(&[i, b]), s.normal(&[o, b])]
            },
            ..Op::vjp(
                "low_rank",
                |p| d2(&p[0]).dot(&d2(&p[1]).t()).into_dyn(),
                |p, dw| {
                    let (du, dv) =
                        linear::low_rank_vjp(d2(&p[0]), d2(&p[1]), d2(dw));
                    vec![du.into_dyn(), dv.into_dyn()]
                },
            )
        },
    ]
}

/// A weight that is no input of its row.
fn frozen(inputs: usize) -> Array2<f64> {
    Array2::from_shape_fn((inputs, inputs + 1), |(i, o)| {
        ((2 * i + 3 * o) % 5) as f64 - 2.0
    })
}

fn on_device<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x, w, b] = up(dev, p);
    let dy = dev.upload(dy.view());
    let y = dev.linear(&x, &w, &b);
    let (mut dw, mut db) = (begun(dev, &w), begun(dev, &b));
    let dx = dev.linear_vjp(&x, &w, &dy, &mut dw, &mut db);
    let dx_alone = dev.linear_vjp_input(&w, &dy);
    assert_eq!(dev.read(&dx), dev.read(&dx_alone), "linear_vjp_input");
    let (mut dw_alone, mut db_alone) = (begun(dev, &w), begun(dev, &b));
    dev.linear_vjp_params(&x, &dy, &mut dw_alone, &mut db_alone);
    assert_eq!(dev.read(&dw), dev.read(&dw_alone), "linear_vjp_params");
    assert_eq!(dev.read(&db), dev.read(&db_alone), "linear_vjp_params");
    Out {
        y: dev.read(&y),
        d: vec![dev.read(&dx), added(dev, &dw), added(dev, &db)],
        other: vec![],
    }
}
