//! What the chapter `network/softmax_cross_entropy` shows.

use backprop::network::softmax_cross_entropy as softmax;
use ndarray::array;
use serde_json::{Value, json};

use crate::kit::{self, HeatMap, Picture};
use crate::{Chapter, Data, Figure, Tolerance};

/// Outputs and figures of the chapter.
pub static CHAPTER: Chapter = Chapter {
    slug: "network/softmax_cross_entropy",
    outputs: &[],
    figures: &[Figure {
        name: "jacobian",
        title: "The Jacobian of a softmax",
        description: "A table of 4 by 4 numbers for the logits 2, 1, 0, −1. \
                      The diagonal is positive, every other entry negative; \
                      no entry is zero, and every row and column sums to \
                      zero.",
        data: Data::Computed(jacobian),
        draw: draw_jacobian,
        tolerance: Tolerance::relative(1e-12),
    }],
};

fn jacobian() -> Value {
    let logits = array![[2.0, 1.0, 0.0, -1.0]];
    let y = softmax::forward(logits.view());
    let rows: Vec<Vec<f64>> = softmax::jacobian(y.row(0))
        .outer_iter()
        .map(|row| row.to_vec())
        .collect();
    json!({ "logits": logits.row(0).to_vec(), "jacobian": rows })
}

fn draw_jacobian(data: &Value) -> Picture {
    let rows: Vec<Vec<f64>> = kit::get(data, "/jacobian");
    HeatMap::new(&rows)
        .rows("answer of", &["y_1", "y_2", "y_3", "y_4"])
        .columns("to a push on", &["x_1", "x_2", "x_3", "x_4"])
        .places(3)
        .side(84.0)
        .picture()
}
