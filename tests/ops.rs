//! One table of ops, and for each row the same six questions:
//!
//! | test | against |
//! |---|---|
//! | `OP::gradcheck` | central differences: every entry, random cotangents |
//! | `OP::adjoint` | `⟨J v, u⟩ = ⟨v, Jᵀ u⟩` |
//! | `OP::linearity` | the VJP of a combination of cotangents |
//! | `OP::fused` | `f32` against the textbook, forward and VJP |
//! | `OP::reference` | vectors from PyTorch in float64 |
//! | `OP::gpu` | the GPU, through `Device`, against the textbook |
//!
//! Without the feature `gpu`, or without a GPU, the last is ignored: see
//! `gpu/mod.rs`.
//!
//! To add an op, add a row here and a case in `tests/reference/ops.py`.

use backprop::calculus::chain_rule::{self, Step};
use backprop::calculus::gradcheck::Sampler;
use backprop::depth::{normalization, residual};
use backprop::device::{AdamW, Heads};
use backprop::engine::philox::Stream;
use backprop::network::activation::{gelu, silu};
use backprop::network::softmax_cross_entropy::{self as sce, binary};
use backprop::network::{activation, linear, optimizer};
use backprop::scale::flash_attention;
use backprop::transformer::attention::fused::{
    by_head, by_head_mut, split, split_mut,
};
use backprop::transformer::{attention, block, embedding, lora};
use libtest_mimic::Arguments;
use ndarray::{
    Array1, Array2, Array3, Array4, ArrayView1, ArrayView2, ArrayView4,
    ArrayViewMut1, ArrayViewMut2, ArrayViewMut4, Axis, Dimension, arr0,
    concatenate, s,
};

#[path = "ops/aspects.rs"]
mod aspects;
#[cfg(feature = "gpu")]
mod gpu;
#[cfg(feature = "gpu")]
#[path = "ops/on_device.rs"]
mod on_device;

use aspects::{A, A32, Dims, Fused, Op};

fn main() {
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, aspects::trials(table())).exit();
}

fn table() -> Vec<Op> {
    vec![
        Op {
            name: "chain",
            inputs: &["x"],
            sample: |s, Dims { b, .. }| vec![s.uniform(&[b], -1.0, 1.0)],
            forward: |p| p[0].mapv(|x| chain_rule::forward(&CHAIN, x)[10]),
            vjp: Some(|p, dy| {
                vec![each(&p[0], dy, |x, dy| {
                    let values = chain_rule::forward(&CHAIN, x);
                    chain_rule::vjp(&CHAIN, &values, dy)[0]
                })]
            }),
            fused: None,
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "line_squared",
            inputs: &["x", "w", "b"],
            sample: |s, _| vec![s.normal(&[]), s.normal(&[]), s.normal(&[])],
            forward: |p| {
                let (x, w, b) = (p[0].sum(), p[1].sum(), p[2].sum());
                arr0(chain_rule::line_squared(x, w, b).0).into_dyn()
            },
            vjp: Some(|p, dy| {
                let (x, w, b) = (p[0].sum(), p[1].sum(), p[2].sum());
                let (_, z2) = chain_rule::line_squared(x, w, b);
                let (dx, dw, db) =
                    chain_rule::line_squared_vjp(x, w, z2, dy.sum());
                [dx, dw, db].map(|d| arr0(d).into_dyn()).into()
            }),
            fused: None,
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "sigmoid",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| p[0].mapv(chain_rule::sigmoid),
            vjp: Some(|p, dy| {
                vec![each(&p[0], dy, |x, dy| {
                    chain_rule::sigmoid_vjp(chain_rule::sigmoid(x), dy)
                })]
            }),
            fused: None,
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "linear",
            inputs: &["x", "w", "b"],
            sample: |s, Dims { b, i, o }| {
                vec![s.normal(&[b, i]), s.normal(&[i, o]), s.normal(&[o])]
            },
            forward: |p| {
                linear::forward(m(&p[0]), m(&p[1]), v(&p[2])).into_dyn()
            },
            vjp: Some(|p, dy| {
                let (dx, dw, db) = linear::vjp(m(&p[0]), m(&p[1]), m(dy));
                vec![dx.into_dyn(), dw.into_dyn(), db.into_dyn()]
            }),
            fused: Some(Fused {
                run: linear_fused,
                tolerance: 1e-5,
            }),
            reference: 1e-14,
            three_sizes: true,
        },
        Op {
            name: "linear_frozen",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| {
                let w = frozen(p[0].shape()[1]);
                let b = Array1::zeros(w.ncols());
                linear::forward(m(&p[0]), w.view(), b.view()).into_dyn()
            },
            vjp: Some(|p, dy| {
                let w = frozen(p[0].shape()[1]);
                vec![linear::vjp_input(w.view(), m(dy)).into_dyn()]
            }),
            fused: None, // as in `linear`
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "linear_columns",
            inputs: &["w", "a", "b"],
            sample: |s, Dims { b, i, o }| {
                vec![s.normal(&[o, i]), s.normal(&[i, b]), s.normal(&[o])]
            },
            forward: |p| {
                linear::columns::forward(m(&p[0]), m(&p[1]), v(&p[2]))
                    .into_dyn()
            },
            vjp: Some(|p, dz| {
                let (dw, da, db) =
                    linear::columns::vjp(m(&p[0]), m(&p[1]), m(dz));
                vec![dw.into_dyn(), da.into_dyn(), db.into_dyn()]
            }),
            fused: None,
            reference: 1e-14,
            three_sizes: true,
        },
        Op {
            name: "low_rank",
            inputs: &["u", "v"],
            sample: |s, Dims { b, i, o }| {
                vec![s.normal(&[i, b]), s.normal(&[o, b])]
            },
            forward: |p| m(&p[0]).dot(&m(&p[1]).t()).into_dyn(),
            vjp: Some(|p, dw| {
                let (du, dv) = linear::low_rank_vjp(m(&p[0]), m(&p[1]), m(dw));
                vec![du.into_dyn(), dv.into_dyn()]
            }),
            fused: None,
            reference: 1e-14,
            three_sizes: true,
        },
        Op {
            name: "relu",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.away_from(&[b, i], &[0.0], 0.01)]
            },
            forward: |p| activation::relu(p[0].view()),
            vjp: Some(|p, dy| {
                let y = activation::relu(p[0].view());
                vec![activation::relu_vjp(y.view(), dy.view())]
            }),
            fused: Some(Fused {
                run: |x, dy| {
                    in_place(x, dy, activation::fused::relu, |y, dy| {
                        activation::fused::relu_vjp(y, dy)
                    })
                },
                tolerance: 0.0,
            }),
            reference: 0.0,
            three_sizes: false,
        },
        Op {
            name: "tanh",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| activation::tanh(p[0].view()),
            vjp: Some(|p, dy| {
                let y = activation::tanh(p[0].view());
                vec![activation::tanh_vjp(y.view(), dy.view())]
            }),
            fused: Some(Fused {
                run: |x, dy| {
                    in_place(x, dy, activation::fused::tanh, |y, dy| {
                        activation::fused::tanh_vjp(y, dy)
                    })
                },
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "sigmoid_array",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| activation::sigmoid(p[0].view()),
            vjp: Some(|p, dy| {
                let y = activation::sigmoid(p[0].view());
                vec![activation::sigmoid_vjp(y.view(), dy.view())]
            }),
            fused: Some(Fused {
                run: |x, dy| {
                    in_place(x, dy, activation::fused::sigmoid, |y, dy| {
                        activation::fused::sigmoid_vjp(y, dy)
                    })
                },
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "gelu",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| gelu::exact(p[0].view()),
            vjp: Some(|p, dy| vec![gelu::exact_vjp(p[0].view(), dy.view())]),
            fused: Some(Fused {
                run: |x, dy| {
                    from_input(x, dy, gelu::fused::exact, |x, dy| {
                        gelu::fused::exact_vjp(x, dy)
                    })
                },
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "gelu_tanh",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| gelu::tanh(p[0].view()),
            vjp: Some(|p, dy| vec![gelu::tanh_vjp(p[0].view(), dy.view())]),
            fused: Some(Fused {
                run: |x, dy| {
                    from_input(x, dy, gelu::fused::tanh, |x, dy| {
                        gelu::fused::tanh_vjp(x, dy)
                    })
                },
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "silu",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| silu::forward(p[0].view()),
            vjp: Some(|p, dy| vec![silu::vjp(p[0].view(), dy.view())]),
            fused: Some(Fused {
                run: |x, dy| {
                    from_input(x, dy, silu::fused::forward, |x, dy| {
                        silu::fused::vjp(x, dy)
                    })
                },
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "swiglu",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, 2 * i])],
            forward: |p| silu::swiglu(m(&p[0])).into_dyn(),
            vjp: Some(|p, dy| {
                vec![silu::swiglu_vjp(m(&p[0]), m(dy)).into_dyn()]
            }),
            fused: Some(Fused {
                run: |p, dy| {
                    let (x, dy) = (m(&p[0]), m(dy));
                    let mut y = Array2::from_elem(dy.raw_dim(), f32::NAN);
                    silu::fused::swiglu(x, y.view_mut());
                    let mut dx = Array2::from_elem(x.raw_dim(), f32::NAN);
                    silu::fused::swiglu_vjp(x, dy, dx.view_mut());
                    (y.into_dyn(), vec![dx.into_dyn()])
                },
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "layer_norm",
            inputs: &["x", "gamma", "beta"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b, i]), s.normal(&[i]), s.normal(&[i])]
            },
            forward: |p| {
                let (x, gamma, beta) = (m(&p[0]), v(&p[1]), v(&p[2]));
                normalization::layer_norm(x, gamma, beta, NORM_EPS)
                    .0
                    .into_dyn()
            },
            vjp: Some(|p, dy| {
                let (x, gamma, beta) = (m(&p[0]), v(&p[1]), v(&p[2]));
                let (_, stats) =
                    normalization::layer_norm(x, gamma, beta, NORM_EPS);
                let (dx, dgamma, dbeta) = normalization::layer_norm_vjp(
                    x,
                    gamma,
                    stats.view(),
                    m(dy),
                );
                vec![dx.into_dyn(), dgamma.into_dyn(), dbeta.into_dyn()]
            }),
            fused: Some(Fused {
                run: layer_norm_fused,
                tolerance: 1e-5,
            }),
            reference: FROM_A_LARGE_MEAN,
            three_sizes: false,
        },
        Op {
            name: "rms_norm",
            inputs: &["x", "gamma"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b, i]), s.normal(&[i])]
            },
            forward: |p| {
                let (x, gamma) = (m(&p[0]), v(&p[1]));
                normalization::rms_norm(x, gamma, NORM_EPS).0.into_dyn()
            },
            vjp: Some(|p, dy| {
                let (x, gamma) = (m(&p[0]), v(&p[1]));
                let (_, stats) = normalization::rms_norm(x, gamma, NORM_EPS);
                let (dx, dgamma) =
                    normalization::rms_norm_vjp(x, gamma, stats.view(), m(dy));
                vec![dx.into_dyn(), dgamma.into_dyn()]
            }),
            fused: Some(Fused {
                run: rms_norm_fused,
                tolerance: 1e-5,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "add",
            inputs: &["x", "f"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b, i]), s.normal(&[b, i])]
            },
            forward: |p| residual::add(p[0].view(), p[1].view()),
            vjp: Some(|_, dy| {
                let (dx, df) = residual::add_vjp(dy.view());
                vec![dx, df]
            }),
            fused: Some(Fused {
                run: |p, dy| {
                    let (x, mut f) = (p[0].clone(), p[1].clone());
                    let x = x.as_slice().expect("contiguous");
                    residual::fused::add(x, slice_mut(&mut f));
                    (f, vec![dy.clone(), dy.clone()])
                },
                tolerance: 1e-7,
            }),
            reference: 0.0,
            three_sizes: false,
        },
        Op {
            name: "dropout",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| residual::dropout(p[0].view(), RATE, STREAM),
            vjp: Some(|_, dy| {
                vec![residual::dropout_vjp(dy.view(), RATE, STREAM)]
            }),
            fused: Some(Fused {
                run: |p, dy| {
                    let (mut y, mut dx) = (p[0].clone(), dy.clone());
                    for a in [&mut y, &mut dx] {
                        residual::fused::dropout(slice_mut(a), RATE, STREAM);
                    }
                    (y, vec![dx])
                },
                tolerance: 1e-7,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "softmax",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| sce::forward(m(&p[0])).into_dyn(),
            vjp: Some(|p, dy| {
                let y = sce::forward(m(&p[0]));
                vec![sce::vjp(y.view(), m(dy)).into_dyn()]
            }),
            fused: Some(Fused {
                run: |x, dy| {
                    let (mut y, mut dx) = (x[0].clone(), dy.clone());
                    sce::fused::forward(m_mut(&mut y));
                    sce::fused::vjp(m(&y), m_mut(&mut dx));
                    (y, vec![dx])
                },
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "softmax_tempered",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| sce::tempered(m(&p[0]), TEMPERATURE).into_dyn(),
            vjp: Some(|p, dy| {
                let y = sce::tempered(m(&p[0]), TEMPERATURE);
                let dx = sce::tempered_vjp(y.view(), TEMPERATURE, m(dy));
                vec![dx.into_dyn()]
            }),
            fused: None,
            reference: 1e-12,
            three_sizes: false,
        },
        Op {
            name: "log_sum_exp",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| sce::log_sum_exp(m(&p[0])).into_dyn(),
            vjp: Some(|p, dlse| {
                let dx = sce::log_sum_exp_vjp(m(&p[0]), v(dlse));
                vec![dx.into_dyn()]
            }),
            fused: None,
            reference: FROM_LSE, // PyTorch's gradient is exp(x - lse)
            three_sizes: false,
        },
        Op {
            name: "log_softmax",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| sce::log_softmax(m(&p[0])).into_dyn(),
            vjp: Some(|p, dy| {
                let y = sce::log_softmax(m(&p[0]));
                vec![sce::log_softmax_vjp(y.view(), m(dy)).into_dyn()]
            }),
            fused: Some(Fused {
                run: |x, dy| {
                    let (mut y, mut dx) = (x[0].clone(), dy.clone());
                    sce::fused::log_softmax(m_mut(&mut y));
                    sce::fused::log_softmax_vjp(m(&y), m_mut(&mut dx));
                    (y, vec![dx])
                },
                tolerance: 1e-6,
            }),
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "cross_entropy",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| cross_entropy(p, labels, 0.0),
            vjp: Some(|p, dloss| cross_entropy_vjp(p, dloss, labels, 0.0)),
            fused: Some(Fused {
                run: |x, dloss| cross_entropy_fused(x, dloss, labels, 0.0),
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "cross_entropy_smoothed",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| cross_entropy(p, labels, SMOOTHING),
            vjp: Some(|p, dloss| {
                cross_entropy_vjp(p, dloss, labels, SMOOTHING)
            }),
            fused: Some(Fused {
                run: |x, dloss| {
                    cross_entropy_fused(x, dloss, labels, SMOOTHING)
                },
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "cross_entropy_ignored",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| cross_entropy(p, some_labels, SMOOTHING),
            vjp: Some(|p, dloss| {
                cross_entropy_vjp(p, dloss, some_labels, SMOOTHING)
            }),
            fused: Some(Fused {
                run: |x, dloss| {
                    cross_entropy_fused(x, dloss, some_labels, SMOOTHING)
                },
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "cross_entropy_any_target",
            inputs: &["x"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, i])],
            forward: |p| {
                let t = uneven_targets(m(&p[0]));
                arr0(sce::cross_entropy(m(&p[0]), t.view()).0).into_dyn()
            },
            vjp: Some(|p, dloss| {
                let t = uneven_targets(m(&p[0]));
                let (_, prob) = sce::cross_entropy(m(&p[0]), t.view());
                let dloss = dloss.sum();
                let dx = sce::cross_entropy_vjp(prob.view(), t.view(), dloss);
                vec![dx.into_dyn()]
            }),
            fused: None,
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "cross_entropy_binary",
            inputs: &["x"],
            sample: |s, Dims { b, .. }| vec![s.normal(&[b])],
            forward: |p| {
                let t = binary_targets(p[0].len());
                let (loss, _) = binary::cross_entropy(v(&p[0]), t.view());
                arr0(loss).into_dyn()
            },
            vjp: Some(|p, dloss| {
                let t = binary_targets(p[0].len());
                let (_, prob) = binary::cross_entropy(v(&p[0]), t.view());
                let (prob, dloss) = (prob.view(), dloss.sum());
                let dx = binary::cross_entropy_vjp(prob, t.view(), dloss);
                vec![dx.into_dyn()]
            }),
            fused: None,
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "attention",
            inputs: &["q", "k", "v"],
            sample: |s, d| one_head(s, d, d.b),
            forward: |p| attention_full(p, true),
            vjp: Some(|p, dy| attention_full_vjp(p, dy, true)),
            fused: Some(Fused {
                run: |p, dy| attention_fused(p, dy, true),
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: true,
        },
        Op {
            name: "attention_full",
            inputs: &["q", "k", "v"],
            sample: |s, d| one_head(s, d, d.b + 3),
            forward: |p| attention_full(p, false),
            vjp: Some(|p, dy| attention_full_vjp(p, dy, false)),
            fused: Some(Fused {
                run: |p, dy| attention_fused(p, dy, false),
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: true,
        },
        Op {
            name: "attention_multi_head",
            inputs: &["qkv"],
            sample: |s, d| packed(s, d, MULTI_HEAD),
            forward: |p| {
                attention::multi_head(m(&p[0]), MULTI_HEAD, true)
                    .0
                    .into_dyn()
            },
            vjp: Some(|p, dy| attention_packed_vjp(p, dy, MULTI_HEAD)),
            fused: Some(Fused {
                run: |p, dy| attention_packed_fused(p, dy, MULTI_HEAD),
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "attention_grouped_query",
            inputs: &["qkv"],
            sample: |s, d| packed(s, d, GROUPED),
            forward: |p| {
                attention::multi_head(m(&p[0]), GROUPED, true).0.into_dyn()
            },
            vjp: Some(|p, dy| attention_packed_vjp(p, dy, GROUPED)),
            fused: Some(Fused {
                run: |p, dy| attention_packed_fused(p, dy, GROUPED),
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "attention_cross",
            inputs: &["q", "kv"],
            sample: two_texts,
            forward: |p| {
                attention::cross(m(&p[0]), m(&p[1]), GROUPED).0.into_dyn()
            },
            vjp: Some(|p, dy| {
                let (q, kv) = (m(&p[0]), m(&p[1]));
                let (_, prob) = attention::cross(q, kv, GROUPED);
                let (dq, dkv) =
                    attention::cross_vjp(q, kv, prob.view(), m(dy), GROUPED);
                vec![dq.into_dyn(), dkv.into_dyn()]
            }),
            fused: Some(Fused {
                run: attention_cross_fused,
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "flash_attention",
            inputs: &["q", "k", "v"],
            sample: |s, d| one_head(s, d, d.b),
            forward: |p| flash(p, true),
            vjp: Some(|p, dy| flash_vjp(p, dy, true)),
            fused: Some(Fused {
                run: |p, dy| flash_fused(p, dy, true),
                // With one key dq is 0, but here the difference of two sums.
                tolerance: 1e-3,
            }),
            reference: FROM_LSE,
            three_sizes: true,
        },
        Op {
            name: "flash_attention_full",
            inputs: &["q", "k", "v"],
            sample: |s, d| one_head(s, d, d.b + 3),
            forward: |p| flash(p, false),
            vjp: Some(|p, dy| flash_vjp(p, dy, false)),
            fused: Some(Fused {
                run: |p, dy| flash_fused(p, dy, false),
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: true,
        },
        Op {
            name: "flash_attention_multi_head",
            inputs: &["qkv"],
            sample: |s, d| packed(s, d, MULTI_HEAD),
            forward: |p| {
                flash_attention::multi_head(m(&p[0]), MULTI_HEAD, true)
                    .0
                    .into_dyn()
            },
            vjp: Some(|p, dy| flash_packed_vjp(p, dy, MULTI_HEAD)),
            fused: Some(Fused {
                run: |p, dy| flash_packed_fused(p, dy, MULTI_HEAD),
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "flash_attention_grouped_query",
            inputs: &["qkv"],
            sample: |s, d| packed(s, d, GROUPED),
            forward: |p| {
                flash_attention::multi_head(m(&p[0]), GROUPED, true)
                    .0
                    .into_dyn()
            },
            vjp: Some(|p, dy| flash_packed_vjp(p, dy, GROUPED)),
            fused: Some(Fused {
                run: |p, dy| flash_packed_fused(p, dy, GROUPED),
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "flash_attention_cross",
            inputs: &["q", "kv"],
            sample: two_texts,
            forward: |p| {
                flash_attention::cross(m(&p[0]), m(&p[1]), GROUPED)
                    .0
                    .into_dyn()
            },
            vjp: Some(|p, dy| {
                let (q, kv) = (m(&p[0]), m(&p[1]));
                let (y, lse) = flash_attention::cross(q, kv, GROUPED);
                let (y, lse) = (y.view(), lse.view());
                let (dq, dkv) =
                    flash_attention::cross_vjp(q, kv, y, lse, m(dy), GROUPED);
                vec![dq.into_dyn(), dkv.into_dyn()]
            }),
            fused: Some(Fused {
                run: flash_cross_fused,
                tolerance: 1e-5,
            }),
            reference: FROM_LSE,
            three_sizes: false,
        },
        Op {
            name: "block",
            inputs: &BLOCK,
            sample: |s, dims| {
                let shapes = block_shapes(dims);
                let near_one = |a: A| 1. + 0.3 * a;
                let draw = |(i, shape): (usize, &Vec<usize>)| match i {
                    0 => s.normal(shape),
                    1 | 7 => near_one(s.normal(shape)), // γ
                    _ => 0.5 * s.normal(shape),
                };
                shapes.iter().enumerate().map(draw).collect()
            },
            forward: |p| {
                let (w, heads) = block_weights(p);
                block::forward(m(&p[0]), &w, heads, EPS).0.into_dyn()
            },
            vjp: Some(|p, dy| {
                let (w, heads) = block_weights(p);
                let (_, kept) = block::forward(m(&p[0]), &w, heads, EPS);
                let (dx, d) = block::vjp(m(&p[0]), &w, &kept, heads, m(dy));
                vec![
                    dx.into_dyn(),
                    d.gamma1.into_dyn(),
                    d.beta1.into_dyn(),
                    d.w_qkv.into_dyn(),
                    d.b_qkv.into_dyn(),
                    d.w_o.into_dyn(),
                    d.b_o.into_dyn(),
                    d.gamma2.into_dyn(),
                    d.beta2.into_dyn(),
                    d.w1.into_dyn(),
                    d.b1.into_dyn(),
                    d.w2.into_dyn(),
                    d.b2.into_dyn(),
                ]
            }),
            fused: None, // its ops are; the model over Device has its own test
            reference: 1e-13,
            three_sizes: false,
        },
        Op {
            name: "embedding",
            inputs: &["w"],
            sample: |s, Dims { i, o, .. }| vec![s.normal(&[i, o])],
            forward: |p| {
                let ids = tokens(N_TOKENS, p[0].shape()[0]);
                embedding::forward(m(&p[0]), &ids).into_dyn()
            },
            vjp: Some(|p, dy| {
                let rows = p[0].shape()[0];
                let ids = tokens(N_TOKENS, rows);
                vec![embedding::vjp(rows, &ids, m(dy)).into_dyn()]
            }),
            fused: Some(Fused {
                run: embedding_fused,
                tolerance: 1e-5,
            }),
            reference: 1e-14,
            three_sizes: true,
        },
        Op {
            name: "unembed",
            inputs: &["x", "w"],
            sample: |s, Dims { b, i, o }| {
                vec![s.normal(&[b, i]), s.normal(&[o, i])]
            },
            forward: |p| embedding::unembed(m(&p[0]), m(&p[1])).into_dyn(),
            vjp: Some(|p, dy| {
                let (dx, dw) =
                    embedding::unembed_vjp(m(&p[0]), m(&p[1]), m(dy));
                vec![dx.into_dyn(), dw.into_dyn()]
            }),
            fused: None,
            reference: 1e-14,
            three_sizes: true,
        },
        Op {
            name: "embedding_tied",
            inputs: &["w"],
            sample: |s, Dims { i, o, .. }| vec![s.normal(&[i, o])],
            forward: tied,
            vjp: Some(tied_vjp),
            fused: None,
            reference: 1e-14,
            three_sizes: true,
        },
        Op {
            name: "unembed_ce",
            inputs: &["x", "w"],
            sample: |s, Dims { b, i, o }| {
                vec![s.normal(&[b, i]), s.normal(&[o, i])]
            },
            forward: |p| {
                let labels = words(p[0].shape(), p[1].shape());
                let (x, w) = (m(&p[0]), m(&p[1]));
                let loss = embedding::unembed_ce(x, w, &labels, SMOOTHING);
                arr0(loss).into_dyn()
            },
            vjp: Some(|p, dloss| {
                let labels = words(p[0].shape(), p[1].shape());
                let (x, w) = (m(&p[0]), m(&p[1]));
                let (_, dx, dw) = embedding::unembed_ce_grad(
                    x,
                    w,
                    &labels,
                    SMOOTHING,
                    dloss.sum(),
                );
                vec![dx.into_dyn(), dw.into_dyn()]
            }),
            fused: Some(Fused {
                run: unembed_ce_fused,
                // dw is small, and is added to ones, chunk by chunk.
                tolerance: 1e-4,
            }),
            reference: 1e-13,
            three_sizes: true,
        },
        Op {
            name: "rope",
            inputs: &["qkv"],
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[2 * b, 8 * i])],
            forward: |p| embedding::rope(m(&p[0]), HEADS, BASE).into_dyn(),
            vjp: Some(|_, dy| {
                vec![embedding::rope_vjp(m(dy), HEADS, BASE).into_dyn()]
            }),
            fused: Some(Fused {
                run: rope_fused,
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "lora",
            inputs: &["x", "a", "b", "y"],
            sample: |s, Dims { b, i, o }| {
                let r = 2;
                vec![
                    s.normal(&[b, i]),
                    s.normal(&[i, r]),
                    s.normal(&[r, o]),
                    s.normal(&[b, o]),
                ]
            },
            forward: |p| {
                let (x, a, b) = (m(&p[0]), m(&p[1]), m(&p[2]));
                lora::forward(x, a, b, SCALE, m(&p[3])).0.into_dyn()
            },
            vjp: Some(|p, dy| {
                let (x, a, b) = (m(&p[0]), m(&p[1]), m(&p[2]));
                let (_, h) = lora::forward(x, a, b, SCALE, m(dy));
                let (dx, da, db) = lora::vjp(x, h.view(), a, b, SCALE, m(dy));
                let [dx, da, db] = [dx, da, db].map(|d| d.into_dyn());
                vec![dx, da, db, dy.clone()]
            }),
            fused: Some(Fused {
                run: lora_fused,
                tolerance: 1e-5,
            }),
            reference: 1e-14,
            three_sizes: true,
        },
        Op {
            name: "sgd",
            inputs: &["w", "dw", "v"],
            sample: |s, Dims { b, .. }| {
                vec![s.normal(&[b]), s.normal(&[b]), s.normal(&[b])]
            },
            forward: |p| {
                let (mut w, mut v) = (p[0].clone(), p[2].clone());
                let (lr, mu, decay) = STEP;
                let dw = p[1].view();
                optimizer::sgd(w.view_mut(), dw, v.view_mut(), lr, mu, decay);
                joined(w, v)
            },
            vjp: None,
            fused: Some(Fused {
                run: |p, _| {
                    let (mut w, mut v) = (p[0].clone(), p[2].clone());
                    let (lr, mu, decay) = STEP;
                    optimizer::fused::sgd(
                        slice_mut(&mut w),
                        slice(&p[1]),
                        slice_mut(&mut v),
                        lr as f32,
                        mu as f32,
                        decay as f32,
                    );
                    (joined(w, v), vec![])
                },
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "nesterov",
            inputs: &["w", "dw", "v"],
            sample: |s, Dims { b, .. }| {
                vec![s.normal(&[b]), s.normal(&[b]), s.normal(&[b])]
            },
            forward: |p| {
                let (mut w, mut v) = (p[0].clone(), p[2].clone());
                let (lr, mu, decay) = STEP;
                let (w_mut, v_mut) = (w.view_mut(), v.view_mut());
                optimizer::nesterov(w_mut, p[1].view(), v_mut, lr, mu, decay);
                joined(w, v)
            },
            vjp: None,
            fused: Some(Fused {
                run: |p, _| {
                    let (mut w, mut v) = (p[0].clone(), p[2].clone());
                    let (lr, mu, decay) = STEP;
                    optimizer::fused::nesterov(
                        slice_mut(&mut w),
                        slice(&p[1]),
                        slice_mut(&mut v),
                        lr as f32,
                        mu as f32,
                        decay as f32,
                    );
                    (joined(w, v), vec![])
                },
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "adam",
            inputs: &["w", "dw", "m", "v"],
            sample: adam_start,
            forward: |p| adam_steps(p, optimizer::adam),
            vjp: None,
            fused: Some(Fused {
                run: |p, _| adam_steps_fused(p, optimizer::fused::adam),
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            name: "adamw",
            inputs: &["w", "dw", "m", "v"],
            sample: adam_start,
            forward: |p| adam_steps(p, optimizer::adamw),
            vjp: None,
            fused: Some(Fused {
                run: |p, _| adam_steps_fused(p, optimizer::fused::adamw),
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
        Op {
            // Two gradients, clipped together: once tightly, once not at all.
            name: "clip",
            inputs: &["dw", "db"],
            sample: |s, Dims { b, i, .. }| {
                vec![s.normal(&[b * i]), s.normal(&[i])]
            },
            forward: |p| {
                let square = |g: &A| g.mapv(|g| g * g).sum();
                let squares = Array1::from_iter(p.iter().map(square));
                let [tight, loose] =
                    MOST.map(|most| optimizer::clip(squares.view(), most));
                let all = joined(p[0].clone(), p[1].clone());
                joined(&all * tight, &all * loose)
            },
            vjp: None,
            fused: Some(Fused {
                run: |p, _| {
                    let square = |g| optimizer::fused::sum_of_squares(slice(g));
                    let squares: Vec<f32> = p.iter().map(square).collect();
                    let [tight, loose] =
                        MOST.map(|most| optimizer::fused::clip(&squares, most));
                    let all = joined(p[0].clone(), p[1].clone());
                    (joined(&all * tight, &all * loose), vec![])
                },
                tolerance: 1e-6,
            }),
            reference: 1e-14,
            three_sizes: false,
        },
    ]
}

// --------------------------------------------------------------- adapters

fn m<T>(a: &ndarray::ArrayD<T>) -> ArrayView2<'_, T> {
    a.view().into_dimensionality().expect("a matrix")
}

fn m_mut(a: &mut A32) -> ArrayViewMut2<'_, f32> {
    a.view_mut().into_dimensionality().expect("a matrix")
}

fn v<T>(a: &ndarray::ArrayD<T>) -> ArrayView1<'_, T> {
    a.view().into_dimensionality().expect("a vector")
}

fn slice(a: &A32) -> &[f32] {
    a.as_slice().expect("contiguous")
}

fn slice_mut<D: Dimension>(a: &mut ndarray::Array<f32, D>) -> &mut [f32] {
    a.as_slice_mut().expect("contiguous")
}

/// Every kind of step once; the values stay where all of them are defined,
/// and ReLU away from its kink.
const CHAIN: [Step; 10] = [
    Step::Times(0.7),
    Step::Tanh,
    Step::Exp,
    Step::Power(-3),
    Step::Relu,
    Step::Ln,
    Step::Sin,
    Step::Add(0.3),
    Step::Cos,
    Step::Sigmoid,
];

fn each(x: &A, dy: &A, f: fn(f64, f64) -> f64) -> A {
    ndarray::Zip::from(x)
        .and(dy)
        .map_collect(|x, dy| f(*x, *dy))
}

/// The inputs of the block's row; the order of its weights on paper.
const BLOCK: [&str; 13] = [
    "x", "gamma1", "beta1", "w_qkv", "b_qkv", "w_o", "b_o", "gamma2", "beta2",
    "w1", "b1", "w2", "b2",
];

/// ε of the normalisations; the same as in `ops.py`.
const EPS: f64 = 1e-5;

/// T = `b` tokens in each text, heads `i` wide, `o` hidden units.
fn block_shapes(Dims { b, i, o }: Dims) -> [Vec<usize>; 13] {
    let (n, d, qkv) = (2 * b, 2 * i, 4 * i);
    [
        vec![n, d],
        vec![d],
        vec![d],
        vec![d, qkv],
        vec![qkv],
        vec![d, d],
        vec![d],
        vec![d],
        vec![d],
        vec![d, o],
        vec![o],
        vec![o, d],
        vec![d],
    ]
}

fn block_weights(p: &[A]) -> (block::Weights, Heads) {
    let m = |i: usize| m(&p[i]).to_owned();
    let v = |i: usize| v(&p[i]).to_owned();
    let w = block::Weights {
        gamma1: v(1),
        beta1: v(2),
        w_qkv: m(3),
        b_qkv: v(4),
        w_o: m(5),
        b_o: v(6),
        gamma2: v(7),
        beta2: v(8),
        w1: m(9),
        b1: v(10),
        w2: m(11),
        b2: v(12),
    };
    (w, HEADS)
}

/// What is to be overwritten starts as NaN, what is to be added to starts as
/// one: neither can be mistaken for the other.
fn linear_fused(p: &[A32], dy: &A32) -> (A32, Vec<A32>) {
    let (x, w, b) = (m(&p[0]), m(&p[1]), v(&p[2]));
    let dy = m(dy);
    let mut y = Array2::from_elem(dy.raw_dim(), f32::NAN);
    linear::fused::forward(x, w, b, y.view_mut());
    let mut dx = Array2::from_elem(x.raw_dim(), f32::NAN);
    linear::fused::vjp_input(w, dy, dx.view_mut());
    let mut dw = Array2::ones(w.raw_dim());
    let mut db = Array1::ones(b.raw_dim());
    linear::fused::vjp_params(x, dy, dw.view_mut(), db.view_mut());
    let (dw, db) = (dw - 1.0, db - 1.0);
    (
        y.into_dyn(),
        vec![dx.into_dyn(), dw.into_dyn(), db.into_dyn()],
    )
}

/// For ops whose output replaces the input, and `dx` the cotangent.
fn in_place(
    x: &[A32],
    dy: &A32,
    forward: fn(&mut [f32]),
    vjp: fn(&[f32], &mut [f32]),
) -> (A32, Vec<A32>) {
    let (mut y, mut dx) = (x[0].clone(), dy.clone());
    forward(slice_mut(&mut y));
    vjp(y.as_slice().expect("contiguous"), slice_mut(&mut dx));
    (y, vec![dx])
}

/// For ops that keep the input, and whose `dx` replaces the cotangent.
fn from_input(
    x: &[A32],
    dy: &A32,
    forward: fn(&[f32], &mut [f32]),
    vjp: fn(&[f32], &mut [f32]),
) -> (A32, Vec<A32>) {
    let (mut y, mut dx) = (dy.mapv(|_| f32::NAN), dy.clone());
    let x = x[0].as_slice().expect("contiguous");
    forward(x, slice_mut(&mut y));
    vjp(x, slice_mut(&mut dx));
    (y, vec![dx])
}

/// ε of the norms: large enough that a root without it is seen; the same as
/// in `ops.py`.
const NORM_EPS: f64 = 0.1;

/// A row with a mean of 1e4 and a spread of 1 keeps 12 digits of it.
const FROM_A_LARGE_MEAN: f64 = 1e-11;

/// As in [`linear_fused`]; the scratch may hold anything.
fn layer_norm_fused(p: &[A32], dy: &A32) -> (A32, Vec<A32>) {
    let (x, gamma, beta) = (m(&p[0]), v(&p[1]), v(&p[2]));
    let dy = m(dy);
    let mut y = Array2::from_elem(x.raw_dim(), f32::NAN);
    let mut stats = Array2::from_elem((x.nrows(), 2), f32::NAN);
    let (out, kept) = (y.view_mut(), stats.view_mut());
    normalization::fused::layer_norm(
        x,
        gamma,
        beta,
        NORM_EPS as f32,
        out,
        kept,
    );
    let mut dx = Array2::from_elem(x.raw_dim(), f32::NAN);
    let mut dgamma = Array1::ones(gamma.raw_dim());
    let mut dbeta = dgamma.clone();
    let scratch = normalization::fused::scratch(x.nrows(), x.ncols());
    normalization::fused::layer_norm_vjp(
        x,
        gamma,
        stats.view(),
        dy,
        dx.view_mut(),
        dgamma.view_mut(),
        dbeta.view_mut(),
        &mut vec![f32::NAN; scratch],
    );
    let mut alone = Array2::from_elem(x.raw_dim(), f32::NAN);
    let (kept, out) = (stats.view(), alone.view_mut());
    normalization::fused::layer_norm_vjp_input(x, gamma, kept, dy, out);
    assert_eq!(alone, dx, "dx with frozen parameters");
    let (dgamma, dbeta) = (dgamma - 1.0, dbeta - 1.0);
    let d = vec![dx.into_dyn(), dgamma.into_dyn(), dbeta.into_dyn()];
    (y.into_dyn(), d)
}

fn rms_norm_fused(p: &[A32], dy: &A32) -> (A32, Vec<A32>) {
    let (x, gamma, dy) = (m(&p[0]), v(&p[1]), m(dy));
    let mut y = Array2::from_elem(x.raw_dim(), f32::NAN);
    let mut stats = Array2::from_elem((x.nrows(), 1), f32::NAN);
    let (out, kept) = (y.view_mut(), stats.view_mut());
    normalization::fused::rms_norm(x, gamma, NORM_EPS as f32, out, kept);
    let mut dx = Array2::from_elem(x.raw_dim(), f32::NAN);
    let mut dgamma = Array1::ones(gamma.raw_dim());
    let scratch = normalization::fused::scratch(x.nrows(), x.ncols());
    normalization::fused::rms_norm_vjp(
        x,
        gamma,
        stats.view(),
        dy,
        dx.view_mut(),
        dgamma.view_mut(),
        &mut vec![f32::NAN; scratch],
    );
    let mut alone = Array2::from_elem(x.raw_dim(), f32::NAN);
    let (kept, out) = (stats.view(), alone.view_mut());
    normalization::fused::rms_norm_vjp_input(x, gamma, kept, dy, out);
    assert_eq!(alone, dx, "dx with frozen parameters");
    (y.into_dyn(), vec![dx.into_dyn(), (dgamma - 1.0).into_dyn()])
}

/// Rate and stream of dropout; the same as in `ops.py`.
const RATE: f64 = 0.3;
const STREAM: Stream = Stream::new(0x0123_4567_89AB_CDEF, 5, 2);

/// Logits of 1e4 leave `lse` no more than 12 digits after the point, and
/// `x - lse` inherits that; so do the scores of attention.
const FROM_LSE: f64 = 1e-12;

/// τ of the softened softmax; the same as in `ops.py`.
const TEMPERATURE: f64 = 2.5;

/// ε of label smoothing; the same as in `ops.py`.
const SMOOTHING: f64 = 0.1;

/// Base of the rotary angles, tokens of an embedding, α/r of an adapter; the
/// same as in `ops.py`.
const BASE: f64 = 100.0;
const N_TOKENS: usize = 6;
const SCALE: f64 = 1.5;

/// Two texts, two heads that share their keys and values; as in `ops.py`.
const HEADS: Heads = Heads {
    batch: 2,
    queries: 2,
    keys: 1,
};

/// Learning rate, momentum, weight decay; the same as in `ops.py`.
const STEP: (f64, f64, f64) = (0.1, 0.9, 0.01);

/// The settings of Adam, for the first of [`STEPS`] steps; as in `ops.py`.
const ADAM: AdamW = AdamW {
    lr: 0.1,
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-3,
    decay: 0.01,
    step: 1,
};

/// How many steps the rows of Adam take, and what clipping does to their
/// gradients; as in `ops.py`.
const STEPS: usize = 3;
const FACTOR: f64 = 0.5;

/// The norms that the row of clipping clips to; as in `ops.py`.
const MOST: [f64; 2] = [0.7, 1e6];

/// Labels for logits of a shape.
type Labels = fn(&[usize]) -> Vec<usize>;

/// Row `b` has label `(7b + 3) mod V`: the same as in `ops.py`.
fn labels(x: &[usize]) -> Vec<usize> {
    (0..x[0]).map(|b| (7 * b + 3) % x[1]).collect()
}

/// `t_bv = 1 + (b + 2v) mod 3`: rows that do not sum to one, nor to the
/// same; as in `ops.py`.
fn uneven_targets(x: ArrayView2<f64>) -> Array2<f64> {
    Array2::from_shape_fn(x.dim(), |(b, v)| 1.0 + ((b + 2 * v) % 3) as f64)
}

/// 0, ⅓, ⅔, 1, 0, …; as in `ops.py`.
fn binary_targets(n: usize) -> Array1<f64> {
    (0..n).map(|b| (b % 4) as f64 / 3.0).collect()
}

/// [`labels`], of which every third is missing.
fn some_labels(x: &[usize]) -> Vec<usize> {
    let mut labels = labels(x);
    labels
        .iter_mut()
        .skip(1)
        .step_by(3)
        .for_each(|l| *l = sce::IGNORE);
    labels
}

fn narrow(ids: Vec<usize>) -> Vec<u32> {
    ids.into_iter().map(|v| v as u32).collect()
}

fn cross_entropy(p: &[A], labels: Labels, smoothing: f64) -> A {
    let t = sce::targets(&labels(p[0].shape()), p[0].shape()[1], smoothing);
    arr0(sce::cross_entropy(m(&p[0]), t.view()).0).into_dyn()
}

fn cross_entropy_vjp(
    p: &[A],
    dloss: &A,
    labels: Labels,
    smoothing: f64,
) -> Vec<A> {
    let t = sce::targets(&labels(p[0].shape()), p[0].shape()[1], smoothing);
    let (_, prob) = sce::cross_entropy(m(&p[0]), t.view());
    vec![sce::cross_entropy_vjp(prob.view(), t.view(), dloss.sum()).into_dyn()]
}

fn cross_entropy_fused(
    p: &[A32],
    dloss: &A32,
    labels: Labels,
    smoothing: f64,
) -> (A32, Vec<A32>) {
    let labels = narrow(labels(p[0].shape()));
    let (smoothing, dloss) = (smoothing as f32, dloss.sum());
    let mut x = m(&p[0]).to_owned();
    let mut losses = vec![f32::NAN; x.nrows()];
    let loss = sce::fused::cross_entropy(
        x.view_mut(),
        &labels,
        smoothing,
        &mut losses,
    );
    sce::fused::cross_entropy_vjp(x.view_mut(), &labels, smoothing, dloss);
    (arr0(loss as f32).into_dyn(), vec![x.into_dyn()])
}

/// A parameter, the gradients of all steps, and means that are not zero.
fn adam_start(s: &mut Sampler, Dims { b, .. }: Dims) -> Vec<A> {
    let dw = s.normal(&[STEPS * b]);
    let v = s.normal(&[b]).mapv(|v| v * v);
    vec![s.normal(&[b]), dw, s.normal(&[b]), v]
}

type AdamStep = fn(
    ArrayViewMut1<f64>,
    ArrayView1<f64>,
    ArrayViewMut1<f64>,
    ArrayViewMut1<f64>,
    f64,
    AdamW,
);

fn adam_steps(p: &[A], one: AdamStep) -> A {
    let [mut w, mut m, mut v] = [0, 2, 3].map(|i| v(&p[i]).to_owned());
    let (dw, n) = (self::v(&p[1]), w.len());
    for step in 0..STEPS {
        let dw = dw.slice(s![step * n..(step + 1) * n]);
        let set = AdamW {
            step: step as u64 + 1,
            ..ADAM
        };
        one(w.view_mut(), dw, m.view_mut(), v.view_mut(), FACTOR, set);
    }
    concatenate![Axis(0), w, m, v].into_dyn()
}

type AdamStepFused = fn(&mut [f32], &[f32], &mut [f32], &mut [f32], f32, AdamW);

fn adam_steps_fused(p: &[A32], one: AdamStepFused) -> (A32, Vec<A32>) {
    let [mut w, mut m, mut v] = [0, 2, 3].map(|i| slice(&p[i]).to_vec());
    let n = w.len();
    for (step, dw) in slice(&p[1]).chunks(n).enumerate() {
        let set = AdamW {
            step: step as u64 + 1,
            ..ADAM
        };
        one(&mut w, dw, &mut m, &mut v, FACTOR as f32, set);
    }
    (Array1::from([w, m, v].concat()).into_dyn(), vec![])
}

/// Two texts, five heads; the same in `ops.py`.
const MULTI_HEAD: Heads = Heads {
    batch: 2,
    queries: 5,
    keys: 5,
};

/// Two texts, ten heads, pairs of which share a key; the same in `ops.py`.
const GROUPED: Heads = Heads {
    batch: 2,
    queries: 10,
    keys: 5,
};

/// `q` (T,d), `k` (S,d), `v` (S,e).
fn one_head(s: &mut Sampler, Dims { b: t, i, o }: Dims, keys: usize) -> Vec<A> {
    vec![
        s.normal(&[t, i]),
        s.normal(&[keys, i]),
        s.normal(&[keys, o]),
    ]
}

/// `qkv` with T tokens in each text and heads of width d.
fn packed(s: &mut Sampler, Dims { b: d, i: t, .. }: Dims, h: Heads) -> Vec<A> {
    vec![s.normal(&[h.batch * t, (h.queries + 2 * h.keys) * d])]
}

/// `q` with T tokens in each text and `kv` with two more.
fn two_texts(s: &mut Sampler, Dims { b: d, i: t, .. }: Dims) -> Vec<A> {
    let Heads {
        batch,
        queries,
        keys,
    } = GROUPED;
    vec![
        s.normal(&[batch * t, queries * d]),
        s.normal(&[batch * (t + 2), 2 * keys * d]),
    ]
}

fn flash(p: &[A], causal: bool) -> A {
    let (q, k, v) = (m(&p[0]), m(&p[1]), m(&p[2]));
    flash_attention::forward(q, k, v, causal, FLASH_BLOCK)
        .0
        .into_dyn()
}

fn flash_vjp(p: &[A], dy: &A, causal: bool) -> Vec<A> {
    let (q, k, v) = (m(&p[0]), m(&p[1]), m(&p[2]));
    let (y, lse) = flash_attention::forward(q, k, v, causal, FLASH_BLOCK);
    let (y, lse) = (y.view(), lse.view());
    let (dq, dk, dv) =
        flash_attention::vjp([q, k, v], y, lse, m(dy), causal, FLASH_BLOCK);
    [dq, dk, dv].map(|d| d.into_dyn()).into()
}

/// Queries and keys at a time: two, so that the last block is not full.
const FLASH_BLOCK: usize = 2;

fn flash_packed_vjp(p: &[A], dy: &A, heads: Heads) -> Vec<A> {
    let qkv = m(&p[0]);
    let (y, lse) = flash_attention::multi_head(qkv, heads, true);
    let (y, lse) = (y.view(), lse.view());
    let d = flash_attention::multi_head_vjp(qkv, y, lse, m(dy), heads, true);
    vec![d.into_dyn()]
}

/// One head is (1,1,T,d).
fn flash_fused(p: &[A32], dy: &A32, causal: bool) -> (A32, Vec<A32>) {
    let head = |x| by_head(m(x), 1, 1);
    let qkv = [&p[0], &p[1], &p[2]].map(head);
    let mut d = [&p[0], &p[1], &p[2]].map(|x| m(x).mapv(|_| f32::NAN));
    let to = d.each_mut().map(|d| by_head_mut(d.view_mut(), 1, 1));
    let y = flash_views(qkv, head(dy), causal, to);
    let y = y.into_shape_with_order(dy.raw_dim()).expect("one head");
    (y, d.map(|d| d.into_dyn()).into())
}

fn flash_packed_fused(p: &[A32], dy: &A32, heads: Heads) -> (A32, Vec<A32>) {
    let Heads { batch, queries, .. } = heads;
    let mut d = m(&p[0]).mapv(|_| f32::NAN);
    let to = split_mut(d.view_mut(), heads);
    let dy4 = by_head(m(dy), batch, queries);
    let y = flash_views(split(m(&p[0]), heads), dy4, true, to);
    (from_heads(y, dy), vec![d.into_dyn()])
}

fn flash_cross_fused(p: &[A32], dy: &A32) -> (A32, Vec<A32>) {
    let Heads {
        batch,
        queries,
        keys,
    } = GROUPED;
    let q = by_head(m(&p[0]), batch, queries);
    let (k, v) = by_head(m(&p[1]), batch, 2 * keys).split_at(Axis(1), keys);
    let mut dq = m(&p[0]).mapv(|_| f32::NAN);
    let mut dkv = m(&p[1]).mapv(|_| f32::NAN);
    let to_q = by_head_mut(dq.view_mut(), batch, queries);
    let to_kv = by_head_mut(dkv.view_mut(), batch, 2 * keys);
    let (to_k, to_v) = to_kv.split_at(Axis(1), keys);
    let dy4 = by_head(m(dy), batch, queries);
    let y = flash_views([q, k, v], dy4, false, [to_q, to_k, to_v]);
    (from_heads(y, dy), vec![dq.into_dyn(), dkv.into_dyn()])
}

/// `y` (B,H,T,d), and the gradients over `d`.
fn flash_views(
    [q, k, v]: [ArrayView4<f32>; 3],
    dy: ArrayView4<f32>,
    causal: bool,
    d: [ArrayViewMut4<f32>; 3],
) -> Array4<f32> {
    let (b, h, t, _) = q.dim();
    let mut y = Array4::from_elem(dy.dim(), f32::NAN);
    let mut lse = Array3::from_elem((b, h, t), f32::NAN);
    let to = (y.view_mut(), lse.view_mut());
    flash_attention::fused::forward(q, k, v, causal, to.0, to.1);
    let kept = (y.view(), lse.view());
    flash_attention::fused::vjp([q, k, v], kept.0, kept.1, dy, causal, d);
    y
}

/// (B,H,T,d) as (B·T, H·d), which is the shape of `like`.
fn from_heads(y: Array4<f32>, like: &A32) -> A32 {
    let y = y.permuted_axes([0, 2, 1, 3]);
    let y = y.as_standard_layout().into_owned();
    y.into_shape_with_order(like.raw_dim())
        .expect("the same numbers")
}

fn attention_full(p: &[A], causal: bool) -> A {
    attention::forward(m(&p[0]), m(&p[1]), m(&p[2]), causal)
        .0
        .into_dyn()
}

fn attention_full_vjp(p: &[A], dy: &A, causal: bool) -> Vec<A> {
    let (q, k, v) = (m(&p[0]), m(&p[1]), m(&p[2]));
    let (_, prob) = attention::forward(q, k, v, causal);
    let (dq, dk, dv) = attention::vjp(q, k, v, prob.view(), m(dy));
    [dq, dk, dv].map(|d| d.into_dyn()).into()
}

/// One head is (1,1,T,d).
fn attention_fused(p: &[A32], dy: &A32, causal: bool) -> (A32, Vec<A32>) {
    let head = |x| by_head(m(x), 1, 1);
    let qkv = [&p[0], &p[1], &p[2]].map(head);
    let mut d = [&p[0], &p[1], &p[2]].map(|x| m(x).mapv(|_| f32::NAN));
    let (t, s) = (p[0].shape()[0], p[1].shape()[0]);
    let mut y = m(dy).mapv(|_| f32::NAN);
    let mut prob = Array4::from_elem((1, 1, t, s), f32::NAN);
    let [q, k, v] = qkv;
    let to = by_head_mut(y.view_mut(), 1, 1);
    attention::fused::forward(q, k, v, causal, to, prob.view_mut());
    let to = d.each_mut().map(|d| by_head_mut(d.view_mut(), 1, 1));
    attention::fused::vjp(qkv, prob.view(), head(dy), causal, to);
    (y.into_dyn(), d.map(|d| d.into_dyn()).into())
}

fn attention_packed_vjp(p: &[A], dy: &A, heads: Heads) -> Vec<A> {
    let (_, prob) = attention::multi_head(m(&p[0]), heads, true);
    let d = attention::multi_head_vjp(m(&p[0]), prob.view(), m(dy), heads);
    vec![d.into_dyn()]
}

fn attention_packed_fused(
    p: &[A32],
    dy: &A32,
    heads: Heads,
) -> (A32, Vec<A32>) {
    let Heads { batch, queries, .. } = heads;
    let [q, k, v] = split(m(&p[0]), heads);
    let t = q.dim().2;
    let mut y = m(dy).mapv(|_| f32::NAN);
    let mut prob = Array4::from_elem((batch, queries, t, t), f32::NAN);
    let to = by_head_mut(y.view_mut(), batch, queries);
    attention::fused::forward(q, k, v, true, to, prob.view_mut());
    let mut d = m(&p[0]).mapv(|_| f32::NAN);
    let to = split_mut(d.view_mut(), heads);
    let dy = by_head(m(dy), batch, queries);
    attention::fused::vjp([q, k, v], prob.view(), dy, true, to);
    (y.into_dyn(), vec![d.into_dyn()])
}

fn attention_cross_fused(p: &[A32], dy: &A32) -> (A32, Vec<A32>) {
    let Heads {
        batch,
        queries,
        keys,
    } = GROUPED;
    let q = by_head(m(&p[0]), batch, queries);
    let (k, v) = by_head(m(&p[1]), batch, 2 * keys).split_at(Axis(1), keys);
    let (t, s) = (q.dim().2, k.dim().2);
    let mut y = m(dy).mapv(|_| f32::NAN);
    let mut prob = Array4::from_elem((batch, queries, t, s), f32::NAN);
    let to = by_head_mut(y.view_mut(), batch, queries);
    attention::fused::forward(q, k, v, false, to, prob.view_mut());
    let mut dq = m(&p[0]).mapv(|_| f32::NAN);
    let mut dkv = m(&p[1]).mapv(|_| f32::NAN);
    let to_q = by_head_mut(dq.view_mut(), batch, queries);
    let to_kv = by_head_mut(dkv.view_mut(), batch, 2 * keys);
    let (to_k, to_v) = to_kv.split_at(Axis(1), keys);
    let dy = by_head(m(dy), batch, queries);
    let to = [to_q, to_k, to_v];
    attention::fused::vjp([q, k, v], prob.view(), dy, false, to);
    (y.into_dyn(), vec![dq.into_dyn(), dkv.into_dyn()])
}

/// A weight that is no input of its row, as in `ops.py`.
fn frozen(inputs: usize) -> Array2<f64> {
    Array2::from_shape_fn((inputs, inputs + 1), |(i, o)| {
        ((2 * i + 3 * o) % 5) as f64 - 2.0
    })
}

/// `(n² + 1) mod V`, so that some tokens repeat and some do not come; as in
/// `ops.py`.
fn tokens(n: usize, rows: usize) -> Vec<usize> {
    (0..n).map(|n| (n * n + 1) % rows).collect()
}

fn embedding_fused(p: &[A32], dy: &A32) -> (A32, Vec<A32>) {
    let w = m(&p[0]);
    let ids = narrow(tokens(N_TOKENS, w.nrows()));
    let mut y = Array2::from_elem((ids.len(), w.ncols()), f32::NAN);
    embedding::fused::forward(w, &ids, y.view_mut());
    let mut dw = Array2::ones(w.raw_dim());
    embedding::fused::vjp(&ids, m(dy), dw.view_mut());
    (y.into_dyn(), vec![(dw - 1.0).into_dyn()])
}

/// The table at both ends: its gradient is the sum over both uses.
fn tied(p: &[A]) -> A {
    let x = embedding::forward(m(&p[0]), &tokens(N_TOKENS, p[0].shape()[0]));
    embedding::unembed(x.view(), m(&p[0])).into_dyn()
}

fn tied_vjp(p: &[A], dy: &A) -> Vec<A> {
    let (w, rows) = (m(&p[0]), p[0].shape()[0]);
    let ids = tokens(N_TOKENS, rows);
    let x = embedding::forward(w, &ids);
    let (dx, dw) = embedding::unembed_vjp(x.view(), w, m(dy));
    vec![(dw + embedding::vjp(rows, &ids, dx.view())).into_dyn()]
}

/// Some labels of a vocabulary of `w`'s rows for the rows of `x`.
fn words(p: &[usize], w: &[usize]) -> Vec<usize> {
    some_labels(&[p[0], w[0]])
}

/// Five rows at a time, so that there are several chunks and a short one.
fn unembed_ce_fused(p: &[A32], dloss: &A32) -> (A32, Vec<A32>) {
    let (x, w) = (m(&p[0]), m(&p[1]));
    let labels = narrow(words(p[0].shape(), p[1].shape()));
    let (smoothing, dloss) = (SMOOTHING as f32, dloss.sum());
    let mut logits = vec![f32::NAN; 5 * w.nrows()];
    let mut losses = vec![f32::NAN; x.nrows()];
    let alone = embedding::fused::unembed_ce(
        x,
        w,
        &labels,
        smoothing,
        &mut logits,
        &mut losses,
    );
    let mut dx = Array2::from_elem(x.raw_dim(), f32::NAN);
    let mut dw = Array2::ones(w.raw_dim());
    let loss = embedding::fused::unembed_ce_grad(
        x,
        w,
        &labels,
        smoothing,
        dloss,
        &mut logits,
        &mut losses,
        dx.view_mut(),
        Some(dw.view_mut()),
    );
    assert_eq!(alone, loss, "with and without the gradient");
    let gradients = vec![dx.into_dyn(), (dw - 1.0).into_dyn()];
    (arr0(loss as f32).into_dyn(), gradients)
}

fn rope_fused(p: &[A32], dy: &A32) -> (A32, Vec<A32>) {
    let (mut y, mut dx) = (p[0].clone(), dy.clone());
    embedding::fused::rope(m_mut(&mut y), HEADS, BASE);
    embedding::fused::rope_vjp(m_mut(&mut dx), HEADS, BASE);
    (y, vec![dx])
}

fn lora_fused(p: &[A32], dy: &A32) -> (A32, Vec<A32>) {
    let (x, a, b, scale) = (m(&p[0]), m(&p[1]), m(&p[2]), SCALE as f32);
    let mut y = p[3].clone();
    let mut h = Array2::from_elem((x.nrows(), a.ncols()), f32::NAN);
    lora::fused::forward(x, a, b, scale, h.view_mut(), m_mut(&mut y));
    let mut dh = Array2::from_elem(h.raw_dim(), f32::NAN);
    let mut dx = Array2::ones(x.raw_dim());
    let mut da = Array2::ones(a.raw_dim());
    let mut db = Array2::ones(b.raw_dim());
    lora::fused::vjp(
        x,
        h.view(),
        a,
        b,
        scale,
        m(dy),
        dh.view_mut(),
        dx.view_mut(),
        da.view_mut(),
        db.view_mut(),
    );
    let [dx, da, db] = [dx, da, db].map(|d| (d - 1.0).into_dyn());
    (y, vec![dx, da, db, dy.clone()])
}

fn joined<T: Clone>(
    w: ndarray::ArrayD<T>,
    v: ndarray::ArrayD<T>,
) -> ndarray::ArrayD<T> {
    concatenate![Axis(0), w, v]
}
