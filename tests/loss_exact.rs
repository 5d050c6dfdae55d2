//! Softmax and cross-entropy against values that are exact, from
//! `reference/exact.py`: logits that share a large part, gaps that no
//! exponential survives, many equal logits, tiny differences. And a label
//! smoothing ε that cannot be, or that an `f32` does not hold. On a GPU:
//! `gpu_loss.rs`.

mod exact;

use backprop::backends::{Checked, Cpu, Textbook};
use backprop::network::softmax_cross_entropy::{self as sce, binary};
use backprop::scale::flash_attention;
use backprop::transformer::attention;
use exact::{Row, Worst, cases, number, numbers, of_device, rows};
use exact::{refuses_smoothing, small_smoothing};
use ndarray::{Array2, arr1, arr2};

#[test]
fn the_textbook() {
    let all = |rows: &[Row], most: f64| {
        of_device(&Textbook, rows).at_most("textbook", most);
        let mut worst = Worst::default();
        for row in rows {
            let (x, name) = (row.x.view(), row.name.as_str());
            worst.see("log p", name, &sce::log_softmax(x), &row.log_p);
            worst.see("softmax", name, &sce::forward(x), &row.p);
            worst.see("lse", name, &sce::log_sum_exp(x), [&row.lse]);
            let dx = sce::log_sum_exp_vjp(x, arr1(&[1.]).view());
            worst.see("lse vjp", name, &dx, &row.p);
        }
        worst.at_most("textbook", most);
    };
    let (short, long): (Vec<_>, Vec<_>) =
        rows(false).into_iter().partition(|row| row.x.len() <= 10);
    all(&short, 1e-15);
    // A sum of as many terms as there are classes, each time with half a unit
    // in the last place at the most.
    all(&long, 50_257. * f64::EPSILON / 2.);
}

#[test]
fn the_textbook_with_a_temperature() {
    let mut worst = Worst::default();
    for case in cases("tempered") {
        let x = numbers(&case, "x");
        let x = Array2::from_shape_vec((1, x.len()), x).expect("one row");
        let p = sce::tempered(x.view(), number(&case, "tau"));
        worst.see("p", &case.to_string(), &p, &numbers(&case, "p"));
    }
    worst.at_most("textbook", 1e-15);
}

#[test]
fn two_classes() {
    let mut worst = Worst::default();
    for case in cases("binary") {
        let [x, t] = ["x", "t"].map(|key| arr1(&[number(&case, key)]));
        let (loss, p) = binary::cross_entropy(x.view(), t.view());
        let dx = binary::cross_entropy_vjp(p.view(), t.view(), 1.);
        let name = case.to_string();
        worst.see("loss", &name, [&loss], [&number(&case, "loss")]);
        worst.see("p", &name, &p, [&number(&case, "p")]);
        worst.see("dx", &name, &dx, [&number(&case, "dx")]);
    }
    worst.at_most("textbook", 1e-15);
}

#[test]
fn the_fused_one() {
    of_device(&Cpu::new(), &rows(true)).at_most("fused", 1e-6);
}

/// The logarithm of a sum that flash attention keeps is one number, and what it
/// rounds away is lost to `p`: half a unit in the last place of the scores, as
/// much as they are off themselves.
#[test]
fn flash_attention_knows_p_as_well_as_its_scores() {
    for score in [1e2, 1e4, 1e8, 1e12] {
        let (q, k) = (arr2(&[[1.]]), arr2(&[[score], [score], [score - 1.]]));
        let (v, dy) = (arr2(&[[1.], [-2.], [3.]]), arr2(&[[1.]]));
        let (q, k, v, dy) = (q.view(), k.view(), v.view(), dy.view());
        let (want_y, p) = attention::forward(q, k, v, false);
        let (y, lse) = flash_attention::forward(q, k, v, false, 2);
        assert!((&y - &want_y).iter().all(|d| d.abs() < 1e-15));
        let of = [q, k, v];
        let (_, _, dv) =
            flash_attention::vjp(of, y.view(), lse.view(), dy, false, 2);
        let half = score * f64::EPSILON / 2.;
        let off = &dv / &p.t() - 1.; // dv = pᵀ·1
        let most = off.fold(0., |m: f64, d| m.max(d.abs()));
        assert!(most <= half + 1e-15, "scores of {score:e}: {most:e}");
    }
}

#[test]
fn smoothing_is_in_its_range_or_refused() {
    refuses_smoothing(&Textbook);
    refuses_smoothing(&Cpu::new());
    refuses_smoothing(&Checked::new(&Cpu::new()));
}

#[test]
fn a_smoothing_that_no_f32_holds() {
    small_smoothing(&Cpu::new());
}
