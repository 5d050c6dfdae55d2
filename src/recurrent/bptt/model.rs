//! A recurrent network of characters, written once, for every backend.
//!
//!   h_t = tanh(x_t·w_x + h_{t-1}·w_h + b),   x_t = embedding of the token
//!   logits_t = h_t·w_y + b_y,   loss = mean over steps and rows
//!
//! A window has T steps of B texts. In between stands what makes it a network
//! in time: the state after the last step is the one before the first step of
//! the next window, in whose row b the text of row b goes on. The state is
//! *carried*, so the model knows what it has read long ago; the gradient is
//! *cut* there: within a window it goes back through every step, beyond it
//! through none.
//!
//! Tokens are time after time: those of step t are the rows `t·B … t·B + B-1`
//! of an array with N = T·B rows. So what does not wait for a state is one
//! product over all steps: `x·w_x` and the logits, their VJPs, and the
//! gradient of `w_h`, whose sum over time is that of a product,
//! `Σ_t h_{t-1}ᵀ·dz_t`. What is left for the loop is one product of B rows
//! each way. It reads and writes the rows of its step, which is what
//! [`Device::embedding`] and its VJP do: a gather of rows, and a scatter.
//!
//! Names, and the bias that is split in two, `b = b_x + b_h`, are those of
//! PyTorch's `nn.RNN`, between an `encoder` and a `decoder` as in its example
//! of a language model. The gradients of both halves are equal.
//!
//! Source: P. Werbos, *Backpropagation through time: what it does and how to
//! do it*, Proc. IEEE 78, 1990; the truncation, with its state carried, is
//! R. Williams and J. Peng, *An efficient gradient-based algorithm for on-line
//! training of recurrent network trajectories*, Neural Computation 2, 1990.

use crate::device::{Device, Model, ParamName, Params};
use crate::engine::random;
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

/// What kind of model: everything but the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Tokens of the vocabulary, V.
    pub vocab: usize,
    /// Width I of a token's vector, the input of the recurrent layer.
    pub width: usize,
    /// Hidden units H.
    pub hidden: usize,
}

impl Config {
    /// What is wrong with the sizes, and what to do. Memory is not checked:
    /// [`Config::parameters`] says how many numbers there would be.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab", self.vocab),
            ("width", self.width),
            ("hidden", self.hidden),
        ];
        let wrong = |size: usize| size == 0 || size > 1 << 24;
        match sizes.iter().find(|(_, size)| wrong(*size)) {
            None => Ok(()),
            Some((name, size)) => {
                Err(format!("{name} is {size}. Choose from 1 to {}.", 1 << 24))
            }
        }
    }

    /// How many numbers the model has, without its state:
    /// `V·I + I·H + H·H + 2·H + H·V + V`.
    ///
    /// ```
    /// use backprop::recurrent::bptt::model::Config;
    /// let small = Config { vocab: 65, width: 64, hidden: 128 };
    /// assert_eq!(small.parameters(), 37_377);
    /// ```
    pub fn parameters(&self) -> usize {
        let (v, i, h) = (self.vocab, self.width, self.hidden);
        let tables = [v.saturating_mul(i), i.saturating_mul(h)];
        let layers = [h.saturating_mul(h), h.saturating_mul(v)];
        let biases = [h, h, v];
        let all = tables.iter().chain(&layers).chain(&biases);
        all.fold(0, |sum: usize, n| sum.saturating_add(*n))
    }
}

/// A recurrent language model, and where it stands in its B texts. `P` is what
/// stands for a parameter: a tensor in the model, `Option` of one in its
/// gradient, where the state has `None`.
#[derive(Debug)]
pub struct Rnn<P> {
    /// What kind of model.
    pub config: Config,
    /// The table of the tokens' vectors (V,I).
    pub encoder: P,
    /// From the input to the hidden units (I,H).
    pub w_x: P,
    /// From the state to the next one (H,H).
    pub w_h: P,
    /// One half of the bias (H), PyTorch's at the input.
    pub b_x: P,
    /// The other half (H), PyTorch's at the state.
    pub b_h: P,
    /// From the state to the logits (H,V).
    pub w_y: P,
    /// The bias of the logits (V).
    pub b_y: P,
    /// The state (B,H) before the next window. No gradient moves it: each
    /// step leaves the last state of its window here.
    pub state: P,
}

/// What outlasts a pass: the last state, until [`Model::settle`] writes it
/// down, and a list that is used again, so that a pass allocates nothing.
///
/// A step is one window: if it had several, each would begin with the state
/// that the step before has left.
#[derive(Debug)]
pub struct Kept<T> {
    last: Option<T>,
    rows: Vec<usize>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept {
            last: None,
            rows: Vec::new(),
        }
    }
}

/// What goes from the forward to the backward pass of a window: the inputs, and
/// the states. Not what goes into tanh: its slope is `1 - h_t²`.
struct Residuals<T> {
    /// `x_1 … x_T` (N,I).
    x: T,
    /// `h_0 … h_{T-1}` (N,H): what `w_h` was multiplied with.
    before: T,
    /// `h_1 … h_T` (N,H): what `w_y` was multiplied with.
    after: T,
}

impl<T> Rnn<T> {
    /// A fresh model that reads `batch` texts side by side, drawn from `seed`:
    /// the vectors of the tokens are normal, a weight with I inputs is normal
    /// with variance 1/I (Glorot and Bengio 2010, forward condition), biases
    /// and state are zero.
    ///
    /// Panics if [`Config::check`] finds a fault, or `batch` is 0.
    #[track_caller]
    pub fn new<D: Device<Tensor = T>>(
        dev: &D,
        config: Config,
        batch: usize,
        seed: u64,
    ) -> Rnn<T> {
        config.check().unwrap_or_else(|e| panic!("rnn: {e}"));
        assert!(batch > 0, "rnn: no text");
        let Config {
            vocab,
            width,
            hidden,
        } = config;
        let rng = &mut random::rng(seed);
        let mut normal = |shape, variance: f64| {
            let w = random::normal(rng, shape, 0., variance.sqrt());
            dev.upload(w.view().into_dyn())
        };
        Rnn {
            config,
            encoder: normal((vocab, width), 1.),
            w_x: normal((width, hidden), 1. / width as f64),
            w_h: normal((hidden, hidden), 1. / hidden as f64),
            b_x: dev.zeros(&[hidden]),
            b_h: dev.zeros(&[hidden]),
            w_y: normal((hidden, vocab), 1. / hidden as f64),
            b_y: dev.zeros(&[vocab]),
            state: dev.zeros(&[batch, hidden]),
        }
    }

    /// Zeros for everything but the state: a gradient to be added into.
    pub fn zeros<D: Device<Tensor = T>>(&self, dev: &D) -> Rnn<Option<T>> {
        let zeros = |t: &T| Some(dev.zeros(dev.shape(t)));
        Rnn {
            config: self.config,
            encoder: zeros(&self.encoder),
            w_x: zeros(&self.w_x),
            w_h: zeros(&self.w_h),
            b_x: zeros(&self.b_x),
            b_h: zeros(&self.b_h),
            w_y: zeros(&self.w_y),
            b_y: zeros(&self.b_y),
            state: None,
        }
    }

    /// The inputs `x` (N,I) and the states `h_0 … h_T` (N + B, H), from the
    /// tokens of a window and the state `h_0` (B,H) before it.
    #[track_caller]
    fn forward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        ids: &D::Ids,
        h_0: &T,
        rows: &mut Vec<usize>,
    ) -> (T, T) {
        let x = dev.embedding(&self.encoder, ids);
        let (n, b) = (dev.shape(&x)[0], dev.shape(h_0)[0]);
        assert_steps(n, b);
        let a = dev.linear(&x, &self.w_x, &self.b_x); // all steps at once
        let mut states = dev.zeros(&[n + b, self.config.hidden]);
        let mut h = dev.copy(h_0);
        for t in 0..n / b {
            let rows = at(dev, t * b, b, rows);
            dev.embedding_vjp(&rows, &h, &mut states);
            let z = dev.linear(&h, &self.w_h, &self.b_h);
            let z = dev.add(&dev.embedding(&a, &rows), z);
            h = dev.tanh(z);
        }
        dev.embedding_vjp(&at(dev, n, b, rows), &h, &mut states);
        (x, states)
    }

    /// Adds the gradient of a loss to `grads`, from its gradient `dlogits`
    /// (N,V) with respect to the logits.
    fn backward<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        ids: &D::Ids,
        dlogits: &T,
        of: &Residuals<T>,
        rows: &mut Vec<usize>,
        grads: &mut Rnn<Option<T>>,
    ) {
        let (n, b) = (dev.shape(dlogits)[0], dev.shape(&self.state)[0]);
        let (dw, db) = (own(&mut grads.w_y), own(&mut grads.b_y));
        // what each state does to the loss of its own step
        let dh = dev.linear_vjp(&of.after, &self.w_y, dlogits, dw, db);
        let mut dz = dev.zeros(&[n, self.config.hidden]);
        // what it does to that of all later ones
        let mut later: Option<T> = None;
        for t in (0..n / b).rev() {
            let rows = at(dev, t * b, b, rows);
            let mut dh = dev.embedding(&dh, &rows);
            if let Some(later) = later {
                dh = dev.add(&later, dh);
            }
            let dz_t = dev.tanh_vjp(&dev.embedding(&of.after, &rows), dh);
            dev.embedding_vjp(&rows, &dz_t, &mut dz);
            // cut before the first step: nobody asks for dh_0
            later = (t > 0).then(|| dev.linear_vjp_input(&self.w_h, &dz_t));
        }
        let (dw, db) = (own(&mut grads.w_h), own(&mut grads.b_h));
        dev.linear_vjp_params(&of.before, &dz, dw, db);
        let (dw, db) = (own(&mut grads.w_x), own(&mut grads.b_x));
        let dx = dev.linear_vjp(&of.x, &self.w_x, &dz, dw, db);
        dev.embedding_vjp(ids, &dx, own(&mut grads.encoder));
    }

    /// Logits (N,V) after every token of `ids` (N), N = T·B, time after time,
    /// and the state after the last; `state` (B,H) is that before the first.
    ///
    /// Panics if N is no multiple of B or a token is not below V.
    #[track_caller]
    pub fn logits<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        ids: &D::Ids,
        state: &T,
    ) -> (T, T) {
        let rows = &mut Vec::new();
        let (_, states) = self.forward(dev, ids, state, rows);
        let (n, b) = (dev.shape(&states)[0], dev.shape(state)[0]);
        let after = dev.embedding(&states, &at(dev, b, n - b, rows));
        let last = dev.embedding(&states, &at(dev, n - b, b, rows));
        (dev.linear(&after, &self.w_y, &self.b_y), last)
    }

    /// Mean cross-entropy in nats, shape (1), of the tokens `labels` (N) after
    /// `ids` (N), and the last state, as [`Rnn::logits`]. For evaluation.
    ///
    /// Panics as [`Rnn::logits`], and if there are not N labels, or one is not
    /// below V.
    #[track_caller]
    pub fn loss<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        ids: &D::Ids,
        labels: &D::Ids,
        state: &T,
    ) -> (T, T) {
        let (logits, last) = self.logits(dev, ids, state);
        (dev.softmax_ce(logits, labels, 0.).0, last)
    }

    /// [`Rnn::logits`] on the host, (N,V), and the last state on the device.
    ///
    /// Panics as [`Rnn::logits`].
    #[track_caller]
    pub fn predict<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        tokens: &[usize],
        state: &T,
    ) -> (ArrayD<f64>, T) {
        let (logits, last) = self.logits(dev, &dev.upload_ids(tokens), state);
        (dev.read(&logits), last)
    }
}

/// The `count` rows from `first` on.
fn at<D: Device>(
    dev: &D,
    first: usize,
    count: usize,
    rows: &mut Vec<usize>,
) -> D::Ids {
    rows.clear();
    rows.extend(first..first + count);
    dev.upload_ids(rows)
}

#[track_caller]
fn assert_steps(n: usize, b: usize) {
    assert!(
        b > 0 && n > 0 && n.is_multiple_of(b),
        "rnn: {n} tokens are not steps of {b} texts"
    );
}

/// A gradient that is there.
fn own<T>(gradient: &mut Option<T>) -> &mut T {
    gradient.as_mut().expect("all but the state is trained")
}

/// A window of B texts and what comes after each of its tokens, on the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Tokens (N), time after time.
    pub ids: Vec<usize>,
    /// The token after each of them (N).
    pub labels: Vec<usize>,
    /// Label smoothing ε of the loss.
    pub smoothing: f64,
}

impl<T> Model for Rnn<T> {
    type Batch = Batch;
    type Kept = Kept<T>;
    type Grads = Rnn<Option<T>>;

    fn zeros<D: Device<Tensor = T>>(&self, dev: &D) -> Rnn<Option<T>> {
        self.zeros(dev)
    }

    /// Panics if there are not as many labels as tokens, N is no multiple of
    /// the B texts that the state is of, or a token is not below V.
    #[track_caller]
    fn loss_and_grad<D: Device<Tensor = T>>(
        &self,
        dev: &D,
        batch: &Batch,
        dloss: f64,
        kept: &mut Kept<T>,
        grads: &mut Rnn<Option<T>>,
    ) -> T {
        let (ids, labels) = (&batch.ids, &batch.labels);
        let (ids, labels) = (dev.upload_ids(ids), dev.upload_ids(labels));
        let rows = &mut kept.rows;
        let (x, states) = self.forward(dev, &ids, &self.state, rows);
        let (n, b) = (batch.ids.len(), dev.shape(&self.state)[0]);
        let of = Residuals {
            x,
            before: dev.embedding(&states, &at(dev, 0, n, rows)),
            after: dev.embedding(&states, &at(dev, b, n, rows)),
        };
        kept.last = Some(dev.embedding(&states, &at(dev, n, b, rows)));
        drop(states);
        let logits = dev.linear(&of.after, &self.w_y, &self.b_y);
        let eps = batch.smoothing;
        let (loss, p) = dev.softmax_ce(logits, &labels, eps);
        let dlogits = dev.softmax_ce_vjp(p, &labels, eps, dloss);
        self.backward(dev, &ids, &dlogits, &of, rows, grads);
        loss
    }

    /// The state is carried: the next window goes on from the last one.
    fn settle<D: Device<Tensor = T>>(&mut self, _: &D, kept: &mut Kept<T>) {
        self.state = kept.last.take().expect("a pass before each step");
    }
}

/// The name of the state in a checkpoint; files of weights are without it.
pub const STATE: &str = "state";

impl<P> Params for Rnn<P> {
    type Tensor = P;

    fn names(&self) -> Vec<ParamName> {
        let name = |name: &str, transposed| ParamName {
            name: name.to_owned(),
            transposed,
        };
        vec![
            name("encoder.weight", false),
            name("rnn.weight_ih_l0", true),
            name("rnn.weight_hh_l0", true),
            name("rnn.bias_ih_l0", false),
            name("rnn.bias_hh_l0", false),
            name("decoder.weight", true),
            name("decoder.bias", false),
            name(STATE, false),
        ]
    }

    fn tensors<'a>(&'a self) -> impl Iterator<Item = &'a P>
    where
        P: 'a,
    {
        let layer = [&self.w_x, &self.w_h, &self.b_x, &self.b_h];
        let ends = [&self.w_y, &self.b_y, &self.state];
        std::iter::once(&self.encoder).chain(layer).chain(ends)
    }

    fn tensors_mut<'a>(&'a mut self) -> impl Iterator<Item = &'a mut P>
    where
        P: 'a,
    {
        let layer =
            [&mut self.w_x, &mut self.w_h, &mut self.b_x, &mut self.b_h];
        let ends = [&mut self.w_y, &mut self.b_y, &mut self.state];
        std::iter::once(&mut self.encoder).chain(layer).chain(ends)
    }
}
