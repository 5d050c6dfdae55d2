//! Low-rank adaptation.

pub mod alternatives;
pub mod answer;
#[path = "../../../../tools/grade/stubs/transformer/lora.rs"]
#[allow(unused)]
mod stub;
mod twins;

use examiner::depth::normalization::mistakes::TERM_ADDED;
use examiner::general::{
    BATCH_MEAN_MISSING, BATCH_MEAN_TWICE, BATCH_NOT_COUNTED, GRAD_OVERWRITTEN,
    ONE_EXAMPLE_ONLY, OUTPUTS_REORDERED, RESHAPED_NOT_TRANSPOSED, SIGN_FLIPPED,
    TRANSPOSED, UPSTREAM_IGNORED, WRONG_BUG,
};
use examiner::network::linear::mistakes::{
    FACTOR_FORGOTTEN, FORWARD_COUNTED, MULTIPLICATIONS_ONLY, TRANSPOSE_MISSING,
};
use examiner::network::mlp::mistakes::{
    HALF_FORGOTTEN, LOSSES_SHIFTED, STALE_FORWARD, UPDATED_TOO_EARLY,
    WEIGHT_NOT_UPDATED,
};
use examiner::network::softmax_cross_entropy::mistakes::MEAN_OVER_ENTRIES;
use examiner::submission::Submissions;
use examiner::transformer::lora as exam;
use examiner::transformer::lora::mistakes::*;
use ndarray::Array2;

/// Everything that the certificate hands to the exams.
pub fn all() -> Submissions {
    use alternatives as alt;
    let mut all = Submissions::of(&exam::EXERCISE);
    let right = (answer::COUNT, answer::DW, answer::STARTS, answer::DOUBLED);
    let count = |c| (Some(c), right.1, right.2, right.3);
    let dw = |d| (right.0, Some(d), right.2, right.3);
    let starts = |s| (right.0, right.1, Some(s), right.3);
    let doubled = |d| (right.0, right.1, right.2, Some(d));
    all.task(
        "before_coding",
        &exam::BEFORE_CODING,
        right,
        (stub::COUNT, stub::DW, stub::STARTS, stub::DOUBLED),
    )
    .wrong(&FROZEN_TRAINED, count([48, 76]))
    .wrong(&OUTPUTS_REORDERED, count([28, 48]))
    .odd("rank times inputs times outputs", count([48, 96]))
    .wrong(&FROZEN_IS_ZERO, dw([[0.; 2]; 2]))
    .wrong(&TRANSPOSED, dw([[2., 3.], [-2., -3.]]))
    .wrong(&SIGN_FLIPPED, dw([[-2., 2.], [-3., 3.]]))
    .wrong(&UPSTREAM_IGNORED, dw([[2., 2.], [3., 3.]]))
    .wrong(&LORA_B_ZERO, starts([true, true, true, false]))
    .wrong(&LORA_START_NOT_BASE, starts([true, true, false, true]))
    .wrong(&LORA_ONE_START, starts([true, false, false, false]))
    .odd("all of them", starts([true; 4]))
    .wrong(&SCALE_COUNTED_ONCE, doubled([2., 2.]))
    .wrong(&ADAM_FOLLOWS_SIZE, doubled([4., 4.]))
    .wrong(&OUTPUTS_REORDERED, doubled([2., 4.]));

    all.task("forward", &exam::FORWARD, answer::forward, stub::forward)
        .right("merged", alt::forward_merged)
        .right("loops", alt::forward_loops)
        .wrong(&LORA_SCALE, |x, w, a, b, alpha| {
            x.dot(&w) + x.dot(&a).dot(&b) * alpha
        })
        .wrong(&LORA_SCALE, |x, w, a, b, _| x.dot(&w) + x.dot(&a).dot(&b))
        .wrong(&LORA_SCALE, |x, w, a, b, alpha| {
            // The rows of a, not its columns.
            x.dot(&w) + x.dot(&a).dot(&b) * (alpha / a.nrows() as f64)
        })
        .wrong(&LORA_SCALE, |x, w, a, b, alpha| {
            (x.dot(&w) + x.dot(&a).dot(&b)) * (alpha / a.ncols() as f64)
        })
        .wrong(&LORA_SCALE, |x, w, a, b, alpha| {
            // The rank that the product can have.
            let r = a.nrows().min(a.ncols()).min(b.ncols()) as f64;
            x.dot(&w) + x.dot(&a).dot(&b) * (alpha / r)
        })
        .wrong(&LORA_SCALE, |x, w, a, b, alpha| {
            answer::forward(x, w, a, b, alpha.trunc())
        })
        .wrong(&RSLORA_SCALE, |x, w, a, b, alpha| {
            let s = alpha / (b.nrows() as f64).sqrt();
            x.dot(&w) + x.dot(&a).dot(&b) * s
        })
        .wrong(&BASE_FORGOTTEN, |x, _, a, b, alpha| {
            x.dot(&a).dot(&b) * alpha / b.nrows() as f64
        })
        .wrong(&ADAPTER_FORGOTTEN, |x, w, _, _, _| x.dot(&w))
        .odd("the scale cut to whole numbers", |x, w, a, b, alpha| {
            let s = (alpha as i64 / a.ncols() as i64) as f64;
            x.dot(&w) + x.dot(&a).dot(&b) * s
        })
        .odd("at most rank four", |x, w, a, b, alpha| {
            let r = a.ncols().min(4);
            let part = x.dot(&a.slice(ndarray::s![.., ..r]));
            let part = part.dot(&b.slice(ndarray::s![..r, ..]));
            x.dot(&w) + part * (alpha / a.ncols() as f64)
        })
        .odd("no negative scale", |x, w, a, b, alpha| {
            answer::forward(x, w, a, b, alpha.abs())
        });

    all.task("vjp", &exam::VJP, answer::vjp, stub::vjp)
        .right("by the whole weight's gradient", alt::vjp_by_the_whole)
        .right("rows", alt::vjp_rows)
        .wrong(&LORA_DX_HALF, twins::dx_of_the_layer)
        .wrong(&LORA_DX_HALF, twins::dx_of_the_adapter)
        .wrong(&LORA_SCALE, twins::no_scale)
        .wrong(&LORA_SCALE, twins::no_scale_for_b)
        .wrong(&LORA_SCALE, twins::no_scale_for_a)
        .wrong(&LORA_SCALE, twins::scaled_twice)
        .wrong(&LORA_SCALE, twins::alpha_alone)
        .wrong(&LORA_SCALE, twins::scale_on_dx)
        .wrong(&RSLORA_SCALE, twins::root_of_rank)
        .wrong(&TRANSPOSE_MISSING, twins::w_not_transposed)
        .wrong(&TRANSPOSE_MISSING, twins::b_not_transposed)
        .wrong(&RESHAPED_NOT_TRANSPOSED, twins::b_cut_anew)
        .wrong(&RESHAPED_NOT_TRANSPOSED, twins::h_cut_anew)
        .wrong(&FACTOR_FORGOTTEN, twins::whole_gradient)
        .wrong(&ONE_EXAMPLE_ONLY, twins::first_row)
        .wrong(&GRAD_OVERWRITTEN, twins::last_row)
        .wrong(&BATCH_MEAN_TWICE, |x, w, a, b, alpha, dy| {
            let (dx, da, db) = answer::vjp(x, w, a, b, alpha, dy);
            let n = x.nrows() as f64;
            (dx, da / n, db / n)
        })
        .wrong(&SIGN_FLIPPED, |x, w, a, b, alpha, dy| {
            let (dx, da, db) = answer::vjp(x, w, a, b, alpha, dy);
            (dx, -da, -db)
        })
        .odd("a is not trained", |x, w, a, b, alpha, dy| {
            let (dx, da, db) = answer::vjp(x, w, a, b, alpha, dy);
            (dx, da * 0., db)
        })
        .odd("gradients clipped to norm 1", |x, w, a, b, alpha, dy| {
            let (dx, da, db) = answer::vjp(x, w, a, b, alpha, dy);
            let n = da.mapv(|d| d * d).sum().sqrt().max(1.);
            (dx, da / n, db)
        })
        .odd("of a rank that b forgets", |x, w, a, b, alpha, dy| {
            let (dx, da, mut db) = answer::vjp(x, w, a, b, alpha, dy);
            let last = db.nrows() - 1;
            db.row_mut(last).fill(0.);
            (dx, da, db)
        });

    all.task(
        "tune",
        &exam::TUNE,
        (answer::tune, answer::tune_all),
        (stub::tune, stub::tune_all),
    )
    .right("in place", (alt::tune_in_place, alt::tune_all_in_place))
    .wrong_first(&FROZEN_TRAINED, |x, t, w, ab, alpha, rate, steps| {
        twins::tuned(x, t, w, ab, (alpha, twins::Slip::Frozen), rate, steps)
    })
    .wrong_first(&UPDATED_TOO_EARLY, |x, t, w, ab, alpha, rate, steps| {
        twins::tuned(x, t, w, ab, (alpha, twins::Slip::Early), rate, steps)
    })
    .wrong_first(&LORA_SCALE, |x, t, w, ab, alpha, rate, steps| {
        twins::tuned(x, t, w, ab, (alpha, twins::Slip::Scale), rate, steps)
    })
    .wrong_first(&WEIGHT_NOT_UPDATED, |x, t, w, ab, alpha, rate, steps| {
        twins::tuned(x, t, w, ab, (alpha, twins::Slip::OnlyB), rate, steps)
    })
    .wrong_first(&BATCH_MEAN_MISSING, |x, t, w, ab, alpha, rate, steps| {
        twins::tuned(x, t, w, ab, (alpha, twins::Slip::Sum), rate, steps)
    })
    .wrong_first(&HALF_FORGOTTEN, |x, t, w, ab, alpha, rate, steps| {
        twins::tuned(x, t, w, ab, (alpha, twins::Slip::Half), rate, steps)
    })
    .wrong_first(&STALE_FORWARD, |x, t, w, ab, alpha, rate, steps| {
        twins::tuned(x, t, w, ab, (alpha, twins::Slip::Stale), rate, steps)
    })
    .wrong_first(&SIGN_FLIPPED, |x, t, w, ab, alpha, rate, steps| {
        answer::tune(x, t, w, ab, alpha, -rate, steps)
    })
    .wrong_first(&LOSSES_SHIFTED, |x, t, w, ab, alpha, rate, steps| {
        let mut all = answer::tune(x, t, w, ab, alpha, rate, steps + 1);
        all.remove(0);
        all
    })
    .odd_first("b begins at zero", |x, t, w, (a, b), alpha, rate, steps| {
        let b = Array2::zeros(b.dim());
        answer::tune(x, t, w, (a, b.view()), alpha, rate, steps)
    })
    .odd_first("never up", |x, t, w, ab, alpha, rate, steps| {
        let mut all = answer::tune(x, t, w, ab, alpha, rate, steps);
        for k in 1..all.len() {
            all[k] = all[k].min(all[k - 1]);
        }
        all
    })
    .odd_first(
        "at most a hundred steps",
        |x, t, w, ab, alpha, rate, steps| {
            let mut all =
                answer::tune(x, t, w, ab, alpha, rate, steps.min(100));
            all.resize(steps + 1, *all.last().expect("one at least"));
            all
        },
    )
    .wrong_second(&BATCH_MEAN_MISSING, |x, t, w, rate, steps| {
        let n = x.nrows() as f64;
        answer::tune_all(x, t, w, rate * n, steps)
    })
    .wrong_second(&HALF_FORGOTTEN, |x, t, w, rate, steps| {
        let all = answer::tune_all(x, t, w, 2. * rate, steps);
        all.into_iter().map(|l| 2. * l).collect()
    })
    .wrong_second(&SIGN_FLIPPED, |x, t, w, rate, steps| {
        answer::tune_all(x, t, w, -rate, steps)
    })
    .wrong_second(&WEIGHT_NOT_UPDATED, |x, t, w, _, steps| {
        answer::tune_all(x, t, w, 0., steps)
    })
    .odd_second("no step after a rise", twins::all_until_a_rise)
    .wrong_second(&MEAN_OVER_ENTRIES, |x, t, w, rate, steps| {
        let o = t.ncols() as f64;
        let all = answer::tune_all(x, t, w, rate / o, steps);
        all.into_iter().map(|l| l / o).collect()
    })
    .wrong_second(&STALE_FORWARD, twins::all_by_the_first_gradient)
    .wrong_second(&LOSSES_SHIFTED, |x, t, w, rate, steps| {
        let mut all = answer::tune_all(x, t, w, rate, steps);
        all.insert(0, all[0]);
        all.pop();
        all
    })
    .odd_second("a row of the weight stays", |x, t, w, rate, steps| {
        let mut x = x.to_owned();
        let y = x.dot(&w) - t;
        x.column_mut(0).fill(0.);
        let t = x.dot(&w) - y;
        answer::tune_all(x.view(), t.view(), w, rate, steps)
    });

    all.task("counts", &exam::COUNTS, answer::counts, stub::counts)
        .right("product by product", |n, i, o, r| {
            let forward = n * i * o + n * i * r + n * r * o;
            let back = n * o * i + n * o * r + n * r * i;
            let factors = i * n * r + r * n * o;
            [i * r + r * o, 2 * (forward + back + factors)]
        })
        .wrong(&FROZEN_TRAINED, |n, i, o, r| {
            [i * r + r * o + i * o, answer::counts(n, i, o, r)[1]]
        })
        .wrong(&DW_COUNTED, |n, i, o, r| {
            [r * (i + o), 6 * n * (i * o + r * (i + o))]
        })
        .wrong(&DX_NOT_COUNTED, |n, i, o, r| {
            [r * (i + o), 2 * n * i * o + 6 * n * r * (i + o)]
        })
        .wrong(&MULTIPLICATIONS_ONLY, |n, i, o, r| {
            [r * (i + o), n * (2 * i * o + 3 * r * (i + o))]
        })
        .wrong(&FORWARD_COUNTED, |n, i, o, r| {
            [r * (i + o), 2 * n * (i * o + r * i + r * o)]
        })
        .wrong(&BASE_FORGOTTEN, |n, i, o, r| {
            [r * (i + o), 6 * n * r * (i + o)]
        })
        .wrong(&ADAPTER_FORGOTTEN, |n, i, o, r| {
            [r * (i + o), 4 * n * i * o]
        })
        .wrong(&PRODUCT_FORMED, |n, i, o, r| {
            let forward = 2 * n * i * o + 2 * i * r * o + 2 * n * i * o;
            let back = 2 * n * i * o + 4 * n * r * (i + o);
            [r * (i + o), forward + back]
        })
        .odd("in 32 bits", |n, i, o, r| {
            answer::counts(n, i, o, r).map(|c| u64::from(c as u32))
        })
        .wrong(&BATCH_NOT_COUNTED, |_, i, o, r| answer::counts(1, i, o, r))
        .wrong(&BATCH_NOT_COUNTED, |n, i, o, r| {
            [r * (i + o), 4 * n * i * o + 6 * r * (i + o)]
        })
        .wrong(&BATCH_NOT_COUNTED, |n, i, o, r| {
            // The factors' gradients are as small as the factors.
            let thin = 2 * r * (i + o);
            [r * (i + o), 4 * n * i * o + 2 * n * thin + thin]
        })
        .odd("summed in f64", |n, i, o, r| {
            let [n, i, o, r] = [n, i, o, r].map(|size| size as f64);
            let sum = 4. * n * i * o + 6. * n * r * (i + o);
            [(r * (i + o)) as u64, sum as u64]
        })
        .odd("a square layer", |n, i, _, r| answer::counts(n, i, i, r))
        .odd("no adapter above full rank", |n, i, o, r| {
            answer::counts(n, i, o, r.min(i).min(o))
        });

    all.task(
        "dora",
        &exam::DORA,
        (answer::dora, answer::dora_vjp),
        (stub::dora, stub::dora_vjp),
    )
    .right("columns", (alt::dora_columns, alt::dora_vjp_thin))
    .wrong_first(&DORA_NORM_AXIS, twins::dora_by_rows)
    .wrong_first(&DORA_NORM_OF_BASE, twins::dora_norm_of_w)
    .wrong_first(&DORA_NORM_SKIPPED, |x, w, a, b, m, alpha| {
        answer::forward(x, w, a, b, alpha) * m
    })
    .wrong_first(&DORA_NORM_SKIPPED, twins::dora_no_root)
    .wrong_first(&LORA_SCALE, |x, w, a, b, m, alpha| {
        answer::dora(x, w, a, b, m, alpha * a.ncols() as f64)
    })
    .wrong_first(&LORA_SCALE, |x, w, a, b, m, _| {
        answer::dora(x, w, a, b, m, a.ncols() as f64)
    })
    .wrong_first(&RSLORA_SCALE, |x, w, a, b, m, alpha| {
        let root = (a.ncols() as f64).sqrt();
        answer::dora(x, w, a, b, m, alpha * root)
    })
    .wrong_first(&ADAPTER_FORGOTTEN, |x, w, a, b, m, _| {
        answer::dora(x, w, a, b, m, 0.)
    })
    .wrong_first(&SIGN_FLIPPED, |x, w, a, b, m, alpha| {
        let m = m.mapv(f64::abs);
        answer::dora(x, w, a, b, m.view(), alpha)
    })
    .odd_first("one length for all", |x, w, a, b, m, alpha| {
        let m = m.mapv(|_| m.mean().unwrap_or(0.));
        answer::dora(x, w, a, b, m.view(), alpha)
    })
    .odd_first("a small number under the root", twins::dora_with_epsilon)
    .wrong_second(&DORA_NORM_CONSTANT, |x, w, a, b, m, alpha, dy| {
        let (dx, dm, _, _) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
        let (da, db) = answer::norm_constant(x, w, a, b, m, alpha, dy);
        (dx, dm, da, db)
    })
    .wrong_second(&DORA_NORM_CONSTANT, |x, w, a, b, m, alpha, dy| {
        let (dx, dm, _, db) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
        let (da, _) = answer::norm_constant(x, w, a, b, m, alpha, dy);
        (dx, dm, da, db)
    })
    .wrong_second(&DORA_AS_LORA, |x, w, a, b, m, alpha, dy| {
        let (_, dm, _, _) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
        let (dx, da, db) = answer::vjp(x, w, a, b, alpha, dy);
        (dx, dm, da, db)
    })
    .wrong_second(&DORA_AS_LORA, |x, w, a, b, m, alpha, dy| {
        let (dx, dm, _, _) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
        let (_, da, db) = answer::vjp(x, w, a, b, alpha, dy);
        (dx, dm, da, db)
    })
    .wrong_second(&DORA_MAGNITUDE_TWICE, twins::dm_of_the_output)
    .wrong_second(&DORA_MAGNITUDE_TWICE, twins::dm_without_n)
    .wrong_second(&DORA_MAGNITUDE_LOST, twins::without_m)
    .wrong_second(&DORA_MAGNITUDE_LOST, |x, w, a, b, m, alpha, dy| {
        // dV = (dW - m·u·dm)/n: the first term has lost its m.
        let (dx, dm, da, db) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
        let (ca, cb) = answer::norm_constant(x, w, a, b, m, alpha, dy);
        let one = m.mapv(|_| 1.);
        let (na, nb) = answer::norm_constant(x, w, a, b, one.view(), alpha, dy);
        (dx, dm, da - ca + na, db - cb + nb)
    })
    .wrong_second(&DORA_MAGNITUDE_LOST, twins::without_n)
    .wrong_second(&LORA_DX_HALF, twins::dora_dx_of_w)
    .wrong_second(&LORA_SCALE, |x, w, a, b, m, alpha, dy| {
        let (dx, dm, da, db) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
        let s = alpha / a.ncols() as f64;
        (dx, dm, da / s, db / s)
    })
    .wrong_second(&TERM_ADDED, |x, w, a, b, m, alpha, dy| {
        let (dx, dm, da, db) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
        let (ca, cb) = answer::norm_constant(x, w, a, b, m, alpha, dy);
        (dx, dm, ca * 2. - da, cb * 2. - db)
    })
    .odd_second("half the projection", |x, w, a, b, m, alpha, dy| {
        let (dx, dm, da, db) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
        let (ca, cb) = answer::norm_constant(x, w, a, b, m, alpha, dy);
        (dx, dm, (ca + da) / 2., (cb + db) / 2.)
    });

    all.task(
        "norm_constant",
        &exam::NORM_CONSTANT,
        answer::norm_constant,
        stub::norm_constant,
    )
    .right("by the cotangent", alt::constant_by_cotangent)
    .wrong(&DORA_NORM_MOVES, |x, w, a, b, m, alpha, dy| {
        let (_, _, da, db) = answer::dora_vjp(x, w, a, b, m, alpha, dy);
        (da, db)
    })
    .wrong(&DORA_AS_LORA, |x, w, a, b, _, alpha, dy| {
        let (_, da, db) = answer::vjp(x, w, a, b, alpha, dy);
        (da, db)
    })
    .wrong(&DORA_MAGNITUDE_LOST, |x, w, a, b, m, alpha, dy| {
        let ones = m.mapv(|_| 1.);
        answer::norm_constant(x, w, a, b, ones.view(), alpha, dy)
    })
    .wrong(&DORA_MAGNITUDE_LOST, |x, w, a, b, m, alpha, dy| {
        let (_, da, db) = answer::vjp(x, w, a, b, alpha, (&dy * &m).view());
        (da, db)
    })
    .wrong(&LORA_SCALE, |x, w, a, b, m, alpha, dy| {
        let (da, db) = answer::norm_constant(x, w, a, b, m, alpha, dy);
        let s = alpha / a.ncols() as f64;
        (da / s, db / s)
    })
    .wrong(&DORA_NORM_OF_BASE, |x, w, a, b, m, alpha, dy| {
        let n = |alpha| twins::lengths(w, a, b, alpha);
        let m = &m * &n(alpha) / n(0.);
        answer::norm_constant(x, w, a, b, m.view(), alpha, dy)
    });

    all.task(
        "find_the_bug",
        &exam::FIND_THE_BUG,
        (answer::BUG, answer::mended),
        (stub::BUG, stub::mended),
    )
    .right("by rank", (Some(" rslora_scale "), alt::merged_by_rank))
    .wrong_first(&WRONG_BUG, Some("LORA_SCALE"))
    .wrong_first(&WRONG_BUG, Some("the scale"))
    .wrong_second(&RSLORA_SCALE, stub::mended)
    .wrong_second(&LORA_SCALE, |w, a, b, alpha| &w + &(a.dot(&b) * alpha))
    .wrong_second(&LORA_SCALE, |w, a, b, alpha| {
        &w + &(a.dot(&b) * alpha / a.nrows() as f64)
    })
    .wrong_second(&LORA_SCALE, |w, a, b, alpha| {
        // The rank of the report's case for every rank.
        &w + &(a.dot(&b) * (alpha / 2.))
    })
    .wrong_second(&LORA_SCALE_ONE_SIDE, |w, a, b, _| &w + &a.dot(&b))
    .wrong_second(&BASE_FORGOTTEN, |_, a, b, alpha| {
        a.dot(&b) * (alpha / a.ncols() as f64)
    })
    .odd_second("rounded to five digits", |w, a, b, alpha| {
        answer::mended(w, a, b, alpha).mapv(|w| (w * 1e5).round() / 1e5)
    });
    all
}
