//! Backprop by Hand: every gradient of modern deep learning, derived by hand,
//! written as code, and fast enough to train real models.
//!
//! This crate is the code of the book. Each chapter has a module of the same
//! name, and in it the forward pass and its VJP (vector-Jacobian product: from
//! the gradient with respect to the output to the gradients with respect to
//! the inputs) stand side by side, first as the formula reads, in `f64`, then
//! fast, in `f32`.
//!
//! ```
//! use backprop::calculus::gradcheck::Check;
//! use backprop::network::softmax_cross_entropy as softmax;
//! use ndarray::{ArrayD, ArrayView2, array};
//!
//! // The pair, used as a model uses it.
//! let x = array![[0.0, 3_f64.ln()]];
//! let y = softmax::forward(x.view());
//! let dx = softmax::vjp(y.view(), array![[16.0, 0.0]].view());
//! assert!((&dx - &array![[3.0, -3.0]]).iter().all(|d| d.abs() < 1e-14));
//!
//! // The same pair on trial: random points, random cotangents.
//! let m = |a: &ArrayD<f64>| {
//!     a.clone().into_dimensionality().expect("a matrix")
//! };
//! let report = Check { names: &["x"], ..Check::default() }.all(
//!     &|s| vec![s.normal(&[2, 5])],
//!     &|x| softmax::forward(m(&x[0]).view()).into_dyn(),
//!     &|x, dy| {
//!         let y = softmax::forward(m(&x[0]).view());
//!         vec![softmax::vjp(y.view(), m(dy).view()).into_dyn()]
//!     },
//! );
//! assert!(report.is_ok());
//! ```
//!
//! # Map
//!
//! | part of the book | module | chapters written |
//! |---|---|---|
//! | I. Calculus | [`calculus`] | [`chain_rule`](calculus::chain_rule), [`modes`](calculus::modes); code for [`gradcheck`](calculus::gradcheck) |
//! | II. Networks | [`network`] | [`linear`](network::linear), [`softmax_cross_entropy`](network::softmax_cross_entropy), [`mlp`](network::mlp); code for [`activation`](network::activation), [`optimizer`](network::optimizer) |
//! | III. Depth | [`depth`] | code for [`normalization`](depth::normalization), [`residual`](depth::residual) |
//! | IV. Transformers | [`transformer`] | code for [`embedding`](transformer::embedding), [`attention`](transformer::attention), [`block`](transformer::block), [`gpt`](transformer::gpt), [`lora`](transformer::lora) |
//! | V. Memory and scale | [`scale`] | code for [`flash_attention`](scale::flash_attention); checkpointing is in [`gpt`](transformer::gpt::model) |
//! | VI. Time and chance | [`recurrent`], [`discrete`] | [`bptt`](recurrent::bptt), [`straight_through`](discrete::straight_through), [`reinforce`](discrete::reinforce); planned: LSTM and GRU |
//! | VII. Beyond the first derivative | `curvature` | planned: Hessians, implicit differentiation, natural gradients |
//! | VIII. Speed | [`speed`], [`engine`], [`device`], [`backends`] | the ladders from plain to fast, and the code that part explains |
//!
//! Each floor uses only those below it:
//!
//! | floor | knows |
//! |---|---|
//! | [`training`] | data, batches, the loop, checkpoints on disk |
//! | [`backends`] | how `Textbook` (`f64`), `Cpu` and `Gpu` (`f32`) carry out a device's ops |
//! | the parts | one op or one model each, with its derivative |
//! | [`device`] | which ops a model may ask for, and what a model is |
//! | [`engine`] | matrix product, vectorised functions, random numbers, kernels on a GPU; no derivative |
//!
//! # Notation
//!
//! The letters of the book, in formulas, code and error messages alike.
//!
//! | size | counts |
//! |---|---|
//! | B | examples in a batch |
//! | I | inputs of a layer |
//! | O | outputs of a layer |
//! | H | hidden units; in attention, heads |
//! | K | heads of keys and values, where several heads of queries share one |
//! | N | tokens of all texts, B·T: the rows of a text model |
//! | F | hidden units of a transformer's second branch |
//! | P | units of the layer above |
//! | V | classes, or words of a vocabulary |
//! | R | rank of a factor |
//! | T | time steps, or tokens of a text |
//! | S | tokens of the text that attention reads, keys and values |
//! | D | width of a token's vector |
//! | C | channels of an image |
//! | G | groups of channels |
//!
//! | code | formula | shape | what it is |
//! |---|---|---|---|
//! | `x` | X | (B,I) | input of an op, one example per row |
//! | `w` | W | (I,O) | weight: a row for each input, a column for each output |
//! | `b` | b | (O) | bias, added to every row |
//! | `y` | Y | (B,O) | output of an op |
//! | `z` | Z | (B,O) | what a layer hands to its activation function |
//! | `a` | A | (B,O) | activation, σ(z); the input of the next layer |
//! | `t` | T | (B,V) | targets; of a softmax, one distribution per row |
//! | `p` | P | (B,V) | probabilities, each row sums to 1 |
//! | `loss` | L | () | the one number that is differentiated, in nats if it is a cross-entropy |
//! | `dy` | Ȳ | as `y` | cotangent of the output: ∂L/∂y, handed down from above |
//! | `dx` | X̄ | as `x` | gradient with respect to the input, handed on |
//! | `x_dot` | ẋ | as `x` | tangent of x: how fast it moves in the direction that is asked about |
//! | `j` | J | (m,n) | Jacobian of n numbers that give m: row i, column j is ∂y_i/∂x_j |
//! | `dw` | W̄ | as `w` | gradient with respect to the weight |
//! | `db` | b̄ | as `b` | gradient with respect to the bias |
//! | `delta` | δ | as `z` | cotangent of z, by its older name |
//! | `lr` | η | () | learning rate |
//! | `momentum` | μ | () | how much of the last velocity is kept |
//! | `v` | v | as `w` | velocity, the sum of past gradients that a step follows; in Adam the mean of their squares |
//! | `m` | m | as `w` | in Adam the mean of past gradients, the later ones with more weight |
//! | `decay` | λ | () | weight decay |
//! | `smoothing` | ε | () | share of the target that is spread over all classes |
//! | `tau` | τ | () | temperature of a softmax |
//! | `h` | h | () | step of a finite difference |
//! | `x_hat` | x̂ | as `x` | a row with mean 0 and, but for eps, mean square 1: x normalised |
//! | `r` | r | (N) | what each row is multiplied with to that end |
//! | `eps` | ε | () | what is added to a variance before its root |
//! | `g` | g | as `x` | cotangent of x̂, dy ⊙ γ |
//! | `gamma` | γ | (D) | scale after a normalisation |
//! | `beta` | β | (D) | shift after a normalisation |
//! | `q`, `k`, `v` | Q, K, V | (T,d) | queries, keys and values of one head, d numbers each |
//! | `lse` | lse | (B) | logarithm of the sum of exponentials of a row |
//! | `scale` | α/r | () | what a low-rank product is multiplied with |
//! | `w_x`, `w_h` | W_x, W_h | (I,H), (H,H) | weights of a recurrent layer, of its input and of its state |
//! | `h` | h_t | (T,B,H) | states of a recurrent layer; h_0 is the one it begins with |
//! | `w_hat` | ŵ | as `w` | a weight rounded to its grid, what the forward pass sees |
//!
//! A batch has its examples as rows, so a layer is `Y = XW + 1bᵀ`. A gradient
//! has the shape of the thing and the name of the thing with a `d` before it.
//! A VJP takes `dy` and returns its gradients in the order of the inputs.
//! Indices are the small letters of the sizes; the example is `n` where `b`
//! is the bias.

pub mod backends;
pub mod calculus;
pub mod depth;
pub mod device;
pub mod discrete;
pub mod engine;
pub mod network;
pub mod recurrent;
pub mod scale;
pub mod speed;
pub mod training;
pub mod transformer;
