//! What is done to every number of its own: ReLU, tanh, sigmoid, GELU, SiLU;
//! and SwiGLU.

use crate::kit::{d2, up};
use crate::op::{A, Dims, Op, Out, on_device};
use backprop::device::Device;
use backprop::network::activation::{self, gelu, silu};

pub fn rows() -> Vec<Op> {
    vec![
        Op {
            sample: |s, Dims { b, i, .. }| {
                vec![s.away_from(&[b, i], &[0.0], 0.01)]
            },
            reference: 0.0,
            device: on_device!(relu, 0.0),
            ..Op::vjp(
                "relu",
                |p| activation::relu(p[0].view()),
                |p, dy| {
                    let y = activation::relu(p[0].view());
                    vec![activation::relu_vjp(y.view(), dy.view())]
                },
            )
        },
        Op {
            device: on_device!(tanh, 1e-6),
            ..Op::vjp(
                "tanh",
                |p| activation::tanh(p[0].view()),
                |p, dy| {
                    let y = activation::tanh(p[0].view());
                    vec![activation::tanh_vjp(y.view(), dy.view())]
                },
            )
        },
        Op::vjp(
            "sigmoid_array",
            |p| activation::sigmoid(p[0].view()),
            |p, dy| {
                let y = activation::sigmoid(p[0].view());
                vec![activation::sigmoid_vjp(y.view(), dy.view())]
            },
        ),
        Op {
            device: on_device!(exact, 1e-6),
            ..Op::vjp(
                "gelu",
                |p| gelu::exact(p[0].view()),
                |p, dy| vec![gelu::exact_vjp(p[0].view(), dy.view())],
            )
        },
        Op {
            device: on_device!(gelu_tanh, 1e-6),
            ..Op::vjp(
                "gelu_tanh",
                |p| gelu::tanh(p[0].view()),
                |p, dy| vec![gelu::tanh_vjp(p[0].view(), dy.view())],
            )
        },
        Op::vjp(
            "silu",
            |p| silu::forward(p[0].view()),
            |p, dy| vec![silu::vjp(p[0].view(), dy.view())],
        ),
        Op {
            sample: |s, Dims { b, i, .. }| vec![s.normal(&[b, 2 * i])],
            device: on_device!(swiglu, 1e-6),
            ..Op::vjp(
                "swiglu",
                |p| silu::swiglu(d2(&p[0])).into_dyn(),
                |p, dy| vec![silu::swiglu_vjp(d2(&p[0]), d2(dy)).into_dyn()],
            )
        },
    ]
}

fn relu<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x] = up(dev, p);
    let y = dev.relu(x);
    let dx = dev.relu_vjp(&y, dev.upload(dy.view()));
    out(dev, y, dx)
}

fn tanh<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x] = up(dev, p);
    let y = dev.tanh(x);
    let dx = dev.tanh_vjp(&y, dev.upload(dy.view()));
    out(dev, y, dx)
}

fn exact<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x] = up(dev, p);
    let y = dev.gelu(&x);
    let dx = dev.gelu_vjp(&x, dev.upload(dy.view()));
    out(dev, y, dx)
}

fn gelu_tanh<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x] = up(dev, p);
    let y = dev.gelu_tanh(&x);
    let dx = dev.gelu_tanh_vjp(&x, dev.upload(dy.view()));
    out(dev, y, dx)
}

fn swiglu<D: Device>(dev: &D, p: &[A], dy: &A) -> Out {
    let [x] = up(dev, p);
    let y = dev.swiglu(&x);
    let dx = dev.swiglu_vjp(&x, &dev.upload(dy.view()));
    out(dev, y, dx)
}

fn out<D: Device>(dev: &D, y: D::Tensor, dx: D::Tensor) -> Out {
    Out {
        y: dev.read(&y),
        d: vec![dev.read(&dx)],
        other: vec![],
    }
}
