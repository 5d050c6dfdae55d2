//! The linear layer.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/network/linear.rs"]
#[allow(unused)]
mod stub;
mod twins;

use ndarray::{Array2, Axis, array, s};
use std::cell::{Cell, RefCell};

use examiner::general::{
    ALL_ZERO, BATCH_MEAN_TWICE, BIAS_FORGOTTEN, BIAS_MEAN_NOT_SUM,
    BIAS_VIA_WEIGHTS, GRAD_OVERWRITTEN, NOT_LINEAR_IN_UPSTREAM,
    ONE_EXAMPLE_ONLY, OUTPUTS_REORDERED, RESHAPED_NOT_TRANSPOSED,
    SHAPES_DO_NOT_FIT, SIGN_FLIPPED, TRANSPOSED, UPSTREAM_IGNORED,
    UPSTREAM_ONLY, WRONG_BUG, WRONG_SHAPE,
};
use examiner::network::linear as exam;
use examiner::network::linear::mistakes::{
    BIAS_AXIS, BIAS_DOWN_COLUMNS, BIAS_NOT_COUNTED, BIAS_OVERREDUCED,
    CONVENTION_MIXED, EXAMPLE_SHOWS_NOTHING, FACTOR_FORGOTTEN, FIRST_LAYER_DX,
    FORWARD_COUNTED, HADAMARD_FOR_MATMUL, MULTIPLICATIONS_ONLY,
    TRANSPOSE_MISSING, TRANSPOSE_MISSING_DW, TRANSPOSE_MISSING_DX, WRONG_SIDE,
};
use examiner::submission::Submissions;

/// Everything that the certificate hands to the exams.
pub fn all() -> Submissions {
    use alternatives as alt;
    let mut all = Submissions::of(&exam::EXERCISE);
    all.task(
        "predict_dx",
        &exam::PREDICT_DX,
        answer::DX_ROW,
        stub::DX_ROW,
    )
    .wrong(&TRANSPOSE_MISSING_DX, Some([8., -1.]))
    .wrong(&UPSTREAM_ONLY, Some([1., 1.]));
    all.task("forward", &exam::FORWARD, answer::forward, stub::forward)
        .right("loops", alt::forward_loops)
        .right("in place", alt::forward_in_place)
        .wrong(&BIAS_FORGOTTEN, twins::forward_without_bias)
        .wrong(&BIAS_DOWN_COLUMNS, twins::forward_bias_by_example)
        .wrong(&CONVENTION_MIXED, twins::forward_book_layout)
        .wrong(&GRAD_OVERWRITTEN, |x, w, b| {
            let mut y = answer::forward(x, w, b);
            for ((n, o), y) in y.indexed_iter_mut() {
                (0..x.ncols()).for_each(|i| *y = x[[n, i]] * w[[o, i]]);
                *y += b[o];
            }
            y
        })
        .wrong(&TRANSPOSED, |x, w, b| {
            answer::forward(x, w, b).reversed_axes()
        })
        .wrong(&BIAS_FORGOTTEN, |x, w, b| match x.nrows() {
            1 => x.dot(&w.t()),
            _ => answer::forward(x, w, b),
        })
        .odd("no tiny inputs", |x, w, b| {
            let x = x.mapv(|v| if v.abs() < 1e-9 { 0. } else { v });
            answer::forward(x.view(), w, b)
        })
        .wrong(&BIAS_FORGOTTEN, |x, w, b| {
            let mut y = x.dot(&w.t());
            y.row_mut(0).scaled_add(1., &b);
            y
        })
        .wrong(&BIAS_FORGOTTEN, |x, w, b| {
            // The loop stops one output early.
            let mut y = x.dot(&w.t());
            for (mut row, _) in y.rows_mut().into_iter().zip(x.rows()) {
                for o in 0..b.len() - 1 {
                    row[o] += b[o];
                }
            }
            y
        })
        .wrong(&GRAD_OVERWRITTEN, |x, w, b| {
            // Begun with the bias, and then assigned to.
            let mut y = Array2::zeros((x.nrows(), w.nrows()));
            for row in y.rows_mut() {
                b.assign_to(row);
            }
            for ((n, o), y) in y.indexed_iter_mut() {
                for i in 0..x.ncols() {
                    *y = x[[n, i]] * w[[o, i]];
                }
            }
            y
        })
        .odd("outputs of at most 1e8", |x, w, b| {
            answer::forward(x, w, b).mapv(|y| y.clamp(-1e8, 1e8))
        })
        .odd("twelve decimals", |x, w, b| {
            answer::forward(x, w, b).mapv(|y| (y * 1e12).round() / 1e12)
        })
        .odd("only eight inputs", |x, w, b| {
            let k = x.ncols().min(8);
            x.slice(s![.., ..k]).dot(&w.slice(s![.., ..k]).t()) + b
        });
    all.task("vjp", &exam::VJP, answer::vjp, stub::vjp)
        .right("loops", alt::vjp_loops)
        .right("transposed", alt::vjp_transposed)
        .right("by example", alt::vjp_by_example)
        .wrong(&ALL_ZERO, twins::all_zero)
        .wrong(&UPSTREAM_IGNORED, twins::upstream_ignored)
        .wrong(&NOT_LINEAR_IN_UPSTREAM, twins::upstream_clipped)
        .wrong(&SIGN_FLIPPED, twins::sign_flipped)
        .wrong(&TRANSPOSED, twins::dw_transposed)
        .wrong(&TRANSPOSE_MISSING_DW, twins::dw_without_transpose)
        .wrong(&WRONG_SIDE, twins::dx_wrong_side)
        .wrong(&HADAMARD_FOR_MATMUL, twins::dx_elementwise)
        .wrong(&GRAD_OVERWRITTEN, twins::dw_overwritten)
        .wrong(&ONE_EXAMPLE_ONLY, twins::first_example_only)
        .wrong(&BATCH_MEAN_TWICE, twins::divided_by_batch)
        .wrong(&BIAS_MEAN_NOT_SUM, twins::bias_mean)
        .wrong(&BIAS_AXIS, twins::bias_wrong_axis)
        .wrong(&WRONG_SHAPE, twins::bias_wrong_length)
        .wrong(&BIAS_OVERREDUCED, twins::bias_one_number)
        .wrong(&BIAS_VIA_WEIGHTS, twins::bias_times_input)
        .wrong(&BIAS_VIA_WEIGHTS, |x, w, dy| {
            let (dx, dw, _) = answer::vjp(x, w, dy);
            let first = dw.row(0).to_owned();
            (dx, dw, first)
        })
        .wrong(&SHAPES_DO_NOT_FIT, twins::does_not_run)
        .wrong(&NOT_LINEAR_IN_UPSTREAM, |x, w, dy| {
            let largest = dy.fold(0., |m: f64, v| m.max(v.abs()));
            let felt = |v: f64| if v.abs() < 1e-5 * largest { 0. } else { v };
            answer::vjp(x, w, dy.mapv(felt).view())
        })
        .wrong(&TRANSPOSE_MISSING_DX, |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            // Turned until the shapes fit.
            let fits = dy.ncols() == w.nrows() && w.nrows() == w.ncols();
            (if fits { dy.dot(&w) } else { dx }, dw, db)
        })
        .wrong(&RESHAPED_NOT_TRANSPOSED, |x, w, dy| {
            let (_, dw, db) = answer::vjp(x, w, dy);
            let w = w.to_owned().into_shape_clone((w.ncols(), w.nrows()));
            (dy.dot(&w.unwrap()), dw, db)
        })
        .wrong(&NOT_LINEAR_IN_UPSTREAM, |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            let sign = if dy[[0, 0]] < 0. { -1. } else { 1. };
            (dx, dw * sign, db)
        })
        .wrong(&OUTPUTS_REORDERED, |x, w, dy| {
            (x.t().dot(&dy), dy.dot(&w.t()), dy.sum_axis(Axis(0)))
        })
        .wrong(&GRAD_OVERWRITTEN, |x, w, dy| {
            let (mut dx, dw, db) = answer::vjp(x, w, dy);
            for ((b, i), d) in dx.indexed_iter_mut() {
                for o in 0..dy.ncols() {
                    *d = dy[[b, o]] * w[[i, o]];
                }
            }
            (dx, dw, db)
        })
        .wrong(&BIAS_AXIS, |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            let square = dy.nrows() == dy.ncols();
            (dx, dw, if square { dy.sum_axis(Axis(1)) } else { db })
        })
        .unnamed("what came before is added", |x, w, dy| {
            thread_local! {
                static SUM: Cell<f64> = const { Cell::new(0.) };
            }
            let (dx, dw, mut db) = answer::vjp(x, w, dy);
            SUM.with(|s| {
                s.set(s.get() + db[0]);
                db[0] = s.get();
            });
            (dx, dw, db)
        })
        .odd(
            "dw of the batch before, if its sum is the same",
            |x, w, dy| {
                thread_local! {
                    static LAST: RefCell<(f64, Array2<f64>)> =
                        RefCell::new((f64::NAN, Array2::zeros((0, 0))));
                }
                let (dx, dw, db) = answer::vjp(x, w, dy);
                let dw = LAST.with_borrow_mut(|last| {
                    if (last.0 - x.sum()).abs() > 1e-9
                        || last.1.dim() != dw.dim()
                    {
                        *last = (x.sum(), dw);
                    }
                    last.1.clone()
                });
                (dx, dw, db)
            },
        )
        .odd("nothing where the cotangents sum to 0", |x, w, dy| {
            let some = f64::from(dy.sum() != 0.);
            answer::vjp(x, w, (&dy * some).view())
        })
        .odd("examples counted in 16 bits", |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            let few = dy.slice(s![..dy.nrows() % 65_536, ..]);
            (
                dx,
                dw,
                if few.nrows() == dy.nrows() {
                    db
                } else {
                    few.sum_axis(Axis(0))
                },
            )
        })
        .odd("db in blocks of 64 examples", |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            let whole = dy.nrows() / 64 * 64;
            let blocks = dy.slice(s![..whole, ..]).sum_axis(Axis(0));
            (dx, dw, if whole > 0 { blocks } else { db })
        })
        .odd("x read in the order of the memory", |x, w, dy| {
            let raw = x.to_owned().into_raw_vec_and_offset().0;
            let x = Array2::from_shape_vec(x.raw_dim(), raw).unwrap();
            answer::vjp(x.view(), w, dy)
        })
        .odd("only contiguous rows", |x, w, dy| {
            let rows = x.rows().into_iter().all(|r| r.as_slice().is_some());
            assert!(rows, "contiguous rows");
            answer::vjp(x, w, dy)
        })
        .odd("an example of zeros is padding", |x, w, dy| {
            let (dx, dw, mut db) = answer::vjp(x, w, dy);
            for (x, dy) in x.rows().into_iter().zip(dy.rows()) {
                if x.iter().all(|v| *v == 0.) {
                    db -= &dy;
                }
            }
            (dx, dw, db)
        })
        .odd("nothing for tiny cotangents", |x, w, dy| {
            let dy = dy.mapv(|v| if v.abs() < 1e-8 { 0. } else { v });
            answer::vjp(x, w, dy.view())
        })
        .odd("an example like the one before counts once", |x, w, dy| {
            let (dx, dw, mut db) = answer::vjp(x, w, dy);
            for b in 1..x.nrows() {
                if x.row(b) == x.row(b - 1) && dy.row(b) == dy.row(b - 1) {
                    db -= &dy.row(b);
                }
            }
            (dx, dw, db)
        })
        .wrong(&BATCH_MEAN_TWICE, |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            let examples = x.nrows() as f64;
            (dx, dw / examples, db / examples)
        })
        .unnamed("not a number, whatever the cotangent", |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            (dx, dw * f64::NAN, db)
        })
        .unnamed("not a number for a zero cotangent", |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            (dx, dw * (1. / dy.sum() * dy.sum()), db)
        })
        .unnamed("a little too large", |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            (dx, dw.mapv(|v| v + 1e-6 * v * v), db)
        })
        .odd("the cotangent clipped at 5", |x, w, dy| {
            answer::vjp(x, w, dy.mapv(|v| v.clamp(-5., 5.)).view())
        })
        .odd("0/0 for a zero of x", |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            (dx, dw * x.iter().map(|v| 1. / v * v).product::<f64>(), db)
        })
        .odd("a mean for as many examples as outputs", |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            let square = dy.nrows() == dy.ncols();
            (dx, dw, if square { db / dy.nrows() as f64 } else { db })
        })
        .unnamed("the mean twice, the bias doubled", |x, w, dy| {
            let (dx, dw, db) = answer::vjp(x, w, dy);
            (dx, dw, db * 2. / x.nrows() as f64)
        })
        .wrong(&WRONG_SHAPE, |x, w, dy| {
            // Transposed, and doubled.
            let (dx, dw, db) = answer::vjp(x, w, dy);
            (dx, dw.reversed_axes() * 2., db)
        });
    all.task(
        "counter_example",
        &exam::COUNTER_EXAMPLE,
        answer::counter_example,
        stub::counter_example,
    )
    .wrong(&EXAMPLE_SHOWS_NOTHING, twins::counter_symmetric)
    .right("a vector", || {
        let x = array![[0., 1., 0.], [0., 0., 0.], [0., 0., 0.]];
        (x, array![[1.], [0.], [0.]])
    })
    .odd("nothing", || (Array2::eye(0), Array2::zeros((0, 3))))
    .odd("one example", || (array![[2.]], array![[3.]]))
    .odd("too large for f64", || {
        (
            Array2::from_elem((3, 3), 1e308),
            Array2::ones((3, 1)) * 1e308,
        )
    });
    all.task(
        "columns_vjp",
        &exam::COLUMNS_VJP,
        answer::columns_vjp,
        stub::columns_vjp,
    )
    .right("by rows", alt::columns_by_rows)
    .right("loops", alt::columns_loops)
    .wrong(&TRANSPOSE_MISSING, twins::columns_dw_without_transpose)
    .odd("no weights below 1e-7", |w, a, dz| {
        let w = w.mapv(|w| if w.abs() < 1e-7 { 0. } else { w });
        answer::columns_vjp(w.view(), a, dz)
    })
    .odd("a mean for as many examples as outputs", |w, a, dz| {
        let (dw, da, db) = answer::columns_vjp(w, a, dz);
        let square = dz.nrows() == dz.ncols();
        (dw, da, if square { db / dz.ncols() as f64 } else { db })
    });
    all.task(
        "low_rank_vjp",
        &exam::LOW_RANK_VJP,
        answer::low_rank_vjp,
        stub::low_rank_vjp,
    )
    .right("through w", alt::low_rank_through_w)
    .right("two layers", alt::low_rank_two_layers)
    .wrong(&FACTOR_FORGOTTEN, twins::low_rank_whole_weight)
    .odd("right up to rank 4", |x, u, v, dy| {
        let (dx, du, dv) = answer::low_rank_vjp(x, u, v, dy);
        (if u.ncols() > 4 { dx * 2. } else { dx }, du, dv)
    });
    all.task(
        "find_the_bug",
        &exam::FIND_THE_BUG,
        (answer::BUG, answer::mended),
        (stub::BUG, stub::mended),
    )
    .right("loops", (Some("BIAS_MEAN_NOT_SUM"), alt::vjp_loops))
    .wrong(&WRONG_BUG, (Some("BIAS_AXIS"), answer::vjp))
    .wrong(&WRONG_BUG, (Some("bias mean"), answer::vjp))
    .wrong(
        &BIAS_MEAN_NOT_SUM,
        (Some("BIAS_MEAN_NOT_SUM"), stub::mended),
    );
    all.task("flops", &exam::FLOPS, answer::flops, stub::flops)
        .right("factored", alt::flops_factored)
        .wrong(&MULTIPLICATIONS_ONLY, twins::flops_multiplications)
        .wrong(&FIRST_LAYER_DX, twins::flops_always_dx)
        .wrong(&BIAS_NOT_COUNTED, twins::flops_no_bias)
        .wrong(&FORWARD_COUNTED, twins::flops_forward)
        .odd("one addition less per output", |b, i, o, needs_dx| {
            answer::flops(b, i, o, needs_dx) - o
        })
        .odd("in 32 bits", |b, i, o, needs_dx| {
            u64::from(answer::flops(b, i, o, needs_dx) as u32)
        });
    all
}
