//! Straight-through estimators: each VJP against the surrogate that is declared,
//! and the whole op, steps and declared gradient, against PyTorch with the same
//! declaration.

use crate::kit::{d1, d2};
use crate::op::{A, Dims, Op};
use backprop::calculus::gradcheck::Sampler;
use backprop::discrete::straight_through::{self, Grid, gumbel, hard_tanh, vq};
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};
use serde_json::{Value, json};

const GRID: Grid = Grid {
    scale: 0.5,
    low: -3.,
    high: 2.,
};

const BETA: f64 = 0.25;
const TAU: f64 = 0.7;

pub fn rows() -> Vec<Op> {
    let mut rows = quantised::rows();
    rows.extend([
        Op {
            // Half a step beyond the ends.
            sample: |s, Dims { b, i, .. }| {
                vec![s.away_from(&[b, i], &[-1.75, 1.25], 0.01)]
            },
            with: grid,
            ..Op::vjp(
                "quantise_surrogate",
                |p| p[0].mapv(|w| GRID.surrogate(w)),
                |p, dy| {
                    vec![straight_through::quantise_vjp(
                        p[0].view(),
                        GRID,
                        dy.view(),
                    )]
                },
            )
        },
        Op {
            inputs: &["x", "dy"],
            sample: two,
            with: grid,
            ..Op::step("quantise", |p| {
                let y = straight_through::quantise(p[0].view(), GRID);
                both(
                    y,
                    straight_through::quantise_vjp(
                        p[0].view(),
                        GRID,
                        p[1].view(),
                    ),
                )
            })
        },
        Op {
            sample: |s, Dims { b, i, .. }| {
                vec![s.away_from(&[b, i], &[-1., 1.], 0.01)]
            },
            ..Op::vjp(
                "hard_tanh",
                |p| p[0].mapv(hard_tanh),
                |p, dy| {
                    vec![straight_through::sign_vjp(p[0].view(), dy.view())]
                },
            )
        },
        Op {
            inputs: &["x", "dy"],
            sample: two,
            ..Op::step("sign", |p| {
                let y = straight_through::sign(p[0].view());
                both(y, straight_through::sign_vjp(p[0].view(), p[1].view()))
            })
        },
        vq_surrogate(),
        Op {
            inputs: &["z", "e", "dq", "dl"],
            sample: |s, Dims { b, i, o }| {
                let shapes: [&[usize]; 4] = [&[b, i], &[o, i], &[b, i], &[b]];
                shapes.map(|shape| s.normal(shape)).into()
            },
            with: |_| json!({ "beta": BETA }),
            ..Op::step("vq", |p| {
                let (z, e) = (d2(&p[0]), d2(&p[1]));
                let k = vq::nearest(z, e);
                let (q, l) = vq::forward(z, e, &k, BETA);
                let (dq, dl) = (d2(&p[2]), d1(&p[3]));
                let (dz, de) = vq::vjp(z, e, &k, BETA, dq, dl);
                let l = l.into_dyn();
                both(both(q.into_dyn(), l), both(dz.into_dyn(), de.into_dyn()))
            })
        },
        Op {
            inputs: &["x", "g"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b, i]), s.normal(&[b, i])]
            },
            with: |_| json!({ "tau": TAU }),
            ..Op::vjp(
                "gumbel_softmax",
                |p| gumbel::forward(d2(&p[0]), d2(&p[1]), TAU).into_dyn(),
                |p, dy| {
                    let y = gumbel::forward(d2(&p[0]), d2(&p[1]), TAU);
                    let dx = gumbel::vjp(y.view(), TAU, d2(dy)).into_dyn();
                    // The noise is added to the logits.
                    vec![dx.clone(), dx]
                },
            )
        },
        Op {
            inputs: &["x", "u", "dy"],
            sample: |s, Dims { b, i, .. }| {
                let u = s.uniform(&[b, i], 0.01, 0.99);
                vec![s.normal(&[b, i]), u, s.normal(&[b, i])]
            },
            with: |_| json!({ "tau": TAU }),
            ..Op::step("gumbel_hard", |p| {
                let g = gumbel::noise(d2(&p[1]));
                let y = gumbel::forward(d2(&p[0]), g.view(), TAU);
                let hard = gumbel::hard(y.view()).into_dyn();
                both(hard, gumbel::vjp(y.view(), TAU, d2(&p[2])).into_dyn())
            })
        },
    ]);
    rows
}

fn grid(_: &[A]) -> Value {
    json!({ "s": GRID.scale, "low": GRID.low, "high": GRID.high })
}

/// Numbers and a cotangent for each.
fn two(s: &mut Sampler, Dims { b, i, .. }: Dims) -> Vec<A> {
    vec![s.normal(&[b, i]) * 1.5, s.normal(&[b, i])]
}

/// What went forward and what came back, in one row.
fn both(y: A, dx: A) -> A {
    let [y, dx] = [y, dx].map(|a| a.flatten().into_owned());
    concatenate![Axis(0), y, dx].into_dyn()
}

/// A row for each row of `z`: its code as the decoder sees it, then its pulls.
fn joined(q: Array2<f64>, l: Array1<f64>) -> A {
    concatenate![Axis(1), q, l.insert_axis(Axis(1))].into_dyn()
}

fn squares(a: ArrayView2<f64>) -> Array1<f64> {
    (&a * &a).sum_axis(Axis(1))
}

/// What is stopped is an input of its own, `z0` and `e0`, and so is what the
/// straight path leaves out, the way from `z0` to its code.
fn vq_surrogate() -> Op {
    Op {
        inputs: &["z", "e", "z0", "e0"],
        sample: |s, Dims { b, i, o }| {
            let (z, e) = (s.normal(&[b, i]), s.normal(&[o, i]));
            vec![z.clone(), e.clone(), z, e]
        },
        with: |_| json!({ "beta": BETA }),
        ..Op::vjp(
            "vq_surrogate",
            |p| {
                let [z, e, z0, e0] = [0, 1, 2, 3].map(|n| d2(&p[n]));
                let k = vq::nearest(z0, e0);
                let of = |e: ArrayView2<f64>| e.select(Axis(0), &k);
                let pulls = squares((&z0 - &of(e)).view())
                    + squares((&z - &of(e0)).view()) * BETA;
                joined(&z + &(of(e0) - z0), pulls)
            },
            |p, dy| {
                let [z, e] = [0, 1].map(|n| d2(&p[n]));
                let k = vq::nearest(z, e);
                let (dq, dl) = d2(dy).split_at(Axis(1), z.ncols());
                let dl = dl.index_axis_move(Axis(1), 0);
                let (dz, de) = vq::vjp(z, e, &k, BETA, dq, dl);
                // The table wants those of what is stopped as well: by the
                // straight path, and by the other term's pull.
                let pull = |of: f64| {
                    let far = &z - &e.select(Axis(0), &k);
                    far * 2. * of * dl.insert_axis(Axis(1))
                };
                let dz0 = pull(1.) - dq;
                let mut de0 = Array2::zeros(e.dim());
                for ((to, far), dq) in
                    k.iter().zip(pull(BETA).rows()).zip(dq.rows())
                {
                    de0.row_mut(*to)
                        .zip_mut_with(&(&dq - &far), |a, b| *a += b);
                }
                [dz, de, dz0, de0].map(|d| d.into_dyn()).into()
            },
        )
    }
}

/// Weights of few bits, on every device.
mod quantised {
    use crate::kit::{added, begun, joined, up};
    use crate::op::{A, Dims, Op, Out, on_device};
    use backprop::calculus::gradcheck::Sampler;
    use backprop::device::Device;
    use backprop::discrete::straight_through::quantised;
    use ndarray::arr1;
    use serde_json::json;

    pub fn rows() -> Vec<Op> {
        vec![quantise_weights(), weights_surrogate(), quantise_scale()]
    }

    /// Widths of a code with 1, 1, 7 and 127 as the largest: all of them are asked
    /// at once.
    const WIDTHS: [u32; 4] = [1, 2, 4, 8];

    /// Weights and the step of their codes, away from every jump of
    /// the rounding and from the bounds: those are in `tests/quantised.rs`.
    fn weights(s: &mut Sampler, Dims { b, i, .. }: Dims) -> Vec<A> {
        let step = s.normal(&[1]).mapv(|s| 0.5 + s.abs());
        let away = |u: f64| {
            let half = (2. * u).round() / 2.;
            if (u - half).abs() < 0.01 { u + 0.02 } else { u }
        };
        // Most beyond the bounds of 2 bits, some beyond those of 4.
        let w = (s.normal(&[b, i]) * 4.).mapv(away) * step[0];
        vec![w, step]
    }

    /// Forward and straight-through gradient, as they are: rows of `ŵ`, then of
    /// `dw`, for each width. That the gradient is not that of the forward is the
    /// point, so no check compares them; see [`weights_surrogate`].
    fn quantise_weights() -> Op {
        Op {
            inputs: &["w", "s", "dw_hat"],
            sample: |s, dims| {
                let mut p = weights(s, dims);
                p.push(s.normal(&[dims.b, dims.i]));
                p
            },
            with: |_| json!({ "widths": WIDTHS }),
            device: on_device!(on_device, 1e-6),
            ..Op::step("quantise_weights", |p| {
                let (w, s, d) = (p[0].view(), p[1][0], p[2].view());
                let each = WIDTHS.map(|bits| {
                    let w_hat = quantised::forward(w.clone(), s, bits);
                    joined(w_hat, quantised::vjp(w.clone(), s, bits, d.clone()))
                });
                each.into_iter().reduce(joined).expect("some widths")
            })
        }
    }

    fn on_device<D: Device>(dev: &D, p: &[A], _: &A) -> Out {
        let [w, s, dw_hat] = up(dev, p);
        let each = WIDTHS.map(|bits| {
            let w_hat = dev.quantise(&w, &s, bits);
            let mut dw = begun(dev, &w);
            dev.quantise_vjp(&w, &s, bits, &dw_hat, &mut dw);
            joined(dev.read(&w_hat), added(dev, &dw))
        });
        Out {
            y: each.into_iter().reduce(joined).expect("some widths"),
            d: vec![],
            other: vec![],
        }
    }

    /// Bits at which some weights lie within the bounds and some do not.
    const BITS: u32 = 3;

    /// The backward pass is the VJP of the surrogate that it is declared to be.
    fn weights_surrogate() -> Op {
        Op {
            inputs: &["w", "s"],
            sample: weights,
            with: |_| json!({ "bits": BITS }),
            ..Op::vjp(
                "weights_surrogate",
                |p| quantised::surrogate(p[0].view(), p[1][0], BITS),
                |p, dy| {
                    let (w, s) = (p[0].view(), p[1][0]);
                    let dw = quantised::vjp(w, s, BITS, dy.view());
                    // The table wants one for `s`, which is declared constant.
                    let q = f64::from(quantised::largest_code(BITS));
                    let beyond = p[0].iter().zip(dy).filter(|(w, _)| {
                        w.abs() > q * s // where the bound is the value
                    });
                    let ds = beyond.map(|(w, dy)| w.signum() * q * dy).sum();
                    vec![dw, arr1(&[ds]).into_dyn()]
                },
            )
        }
    }

    /// The step between two codes, for each width.
    fn quantise_scale() -> Op {
        Op {
            inputs: &["w"],
            with: |_| json!({ "widths": WIDTHS }),
            device: on_device!(scale_on_device, 1e-6),
            beyond: &[
                // two workgroups, one of them almost empty; two threads
                Dims {
                    b: 129,
                    i: 128,
                    o: 1,
                },
                Dims {
                    b: 300,
                    i: 200,
                    o: 1,
                },
            ],
            ..Op::step("quantise_scale", |p| {
                let s = WIDTHS.map(|bits| quantised::scale(p[0].view(), bits));
                arr1(&s).into_dyn()
            })
        }
    }

    fn scale_on_device<D: Device>(dev: &D, p: &[A], _: &A) -> Out {
        let [w] = up(dev, p);
        let each = WIDTHS.map(|bits| dev.read(&dev.quantise_scale(&w, bits)));
        Out {
            y: each.into_iter().reduce(joined).expect("some widths"),
            d: vec![],
            other: vec![],
        }
    }
}
