//! Pictures of the kinds, with numbers made up by formulas. Tiles need none:
//! the figure of the linear layer is made of shapes alone.

use figures::kit::{
    Axis, Bars, Chain, Chart, Fields, HeatMap, Images, Network, Paint, Picture,
    Point, number,
};

/// Name and picture.
pub fn all() -> Vec<(&'static str, Picture)> {
    vec![
        ("chain", chain()),
        ("jacobian", jacobian()),
        ("error", error_against_step()),
        ("learning", learning_curve()),
        ("histogram", histogram()),
        ("network", network()),
        ("confusion", confusion()),
        ("digits", digits()),
        ("fields", fields()),
        ("bars", bars()),
        ("many", many_series()),
    ]
}

fn chain() -> Picture {
    let x = 1.5_f64;
    let u = x * x;
    let local = u.cos();
    Chain::new("x", Paint::Input)
        .values(&number(x, 5), &number(2.0 * x * local, 5))
        .then("square", "2x = 3", "u = x²", Paint::Activation)
        .values(&number(u, 5), &number(local, 5))
        .then(
            "sin",
            &format!("cos u = {}", number(local, 5)),
            "y = sin u",
            Paint::Activation,
        )
        .values(&number(u.sin(), 5), "1")
        .titles("values", "dy/d(node)")
        .picture()
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let e: Vec<f64> = x.iter().map(|x| x.exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|e| e / sum).collect()
}

fn jacobian() -> Picture {
    let y = softmax(&[2.0, 1.0, 0.0, -1.0]);
    let entry = |i: usize, j: usize| {
        let same = if i == j { 1.0 } else { 0.0 };
        y[i] * (same - y[j])
    };
    let rows: Vec<Vec<f64>> = (0..4)
        .map(|i| (0..4).map(|j| entry(i, j)).collect())
        .collect();
    HeatMap::new(&rows)
        .rows("output", &["y_1", "y_2", "y_3", "y_4"])
        .columns("logit pushed", &["x_1", "x_2", "x_3", "x_4"])
        .places(3)
        .side(90.0)
        .picture()
}

fn error_against_step() -> Picture {
    let (x, exact) = (1.0_f64, 1.0_f64.cos());
    let errors = |f: &dyn Fn(f64) -> f64| -> Vec<Point> {
        (0..60)
            .map(|i| 10f64.powf(-f64::from(i) / 4.0))
            .map(|h| [h, (f(h) - exact).abs()])
            .collect()
    };
    let forward = errors(&|h| ((x + h).sin() - x.sin()) / h);
    let central = errors(&|h| ((x + h).sin() - (x - h).sin()) / (2.0 * h));
    Chart::new(Axis::log("step h"), Axis::log("relative error"))
        .line("forward", &forward)
        .label_at(10)
        .line("central", &central)
        .label_at(12)
        .note([6e-6, 2e-11], [-30.0, -50.0], "h ≈ ε^{1/3}")
        .picture()
}

fn learning_curve() -> Picture {
    let curve = |floor: f64, rate: f64| -> Vec<Point> {
        (0..=40)
            .map(f64::from)
            .map(|e| {
                let wave = 0.02 * (3.0 * e).sin() / (1.0 + 0.1 * e);
                [e, floor + (2.3 - floor) * (-e / rate).exp() + wave]
            })
            .collect()
    };
    Chart::new(Axis::linear("epoch"), Axis::linear("loss, nats per digit"))
        .line("training", &curve(0.05, 5.0))
        .line("test", &curve(0.14, 5.5))
        .rule(10f64.ln(), "guessing: ln 10")
        .picture()
}

fn histogram() -> Picture {
    let edges: Vec<f64> =
        (0..=24).map(|i| -3.0 + 0.25 * f64::from(i)).collect();
    let heights: Vec<f64> = edges
        .windows(2)
        .map(|e| (400.0 * (-0.5 * (e[0] + 0.125).powi(2)).exp()).round())
        .collect();
    Chart::new(Axis::linear("entry of dW"), Axis::linear("count"))
        .histogram("", &edges, &heights)
        .paint(Paint::Cotangent)
        .size(640.0, 300.0)
        .picture()
}

fn network() -> Picture {
    Network::new()
        .layer("input", Paint::Input, &["x_1", "x_2"])
        .values(&[0.5, -1.0])
        .cotangents(&[0.31, -0.07])
        .weights(&[vec![0.8, -0.4, 1.2], vec![-1.1, 0.6, 0.3]])
        .numbers()
        .layer("hidden", Paint::Activation, &["h_1", "h_2", "h_3"])
        .values(&[0.905, -0.664, 0.291])
        .cotangents(&[0.12, 0.5, -0.2])
        .weights(&[vec![1.0, -0.5], vec![0.3, 0.9], vec![-0.7, 0.2]])
        .numbers()
        .layer("output", Paint::Activation, &["y_1", "y_2"])
        .values(&[0.5, -0.99])
        .cotangents(&[1.0, 0.0])
        .picture()
}

fn confusion() -> Picture {
    let count = |i: usize, j: usize| match (i, j) {
        (i, j) if i == j => 35.0 - (i % 3) as f64,
        (8, 1) | (9, 3) => 2.0,
        (4, 9) | (7, 9) | (1, 8) => 1.0,
        _ => 0.0,
    };
    let rows: Vec<Vec<f64>> = (0..10)
        .map(|i| (0..10).map(|j| count(i, j)).collect())
        .collect();
    let names: Vec<String> = (0..10).map(|i| i.to_string()).collect();
    HeatMap::new(&rows)
        .rows("digit", &names)
        .columns("read as", &names)
        .confusion()
        .picture()
}

fn digits() -> Picture {
    let ring = |r: f64, tail: f64| -> Vec<Vec<f64>> {
        let ink = |x: f64, y: f64| {
            let d = (x - 3.5).hypot(y - 3.0 - tail) - r;
            (1.0 - d.abs() / 1.2).max(0.0)
        };
        (0..8)
            .map(|y| (0..8).map(|x| ink(f64::from(x), f64::from(y))).collect())
            .collect()
    };
    let mut images = Images::new(5);
    for i in 0..10 {
        let i = f64::from(i);
        images = images.image(
            &ring(1.5 + 0.2 * i, 0.1 * i),
            &["0".to_string(), format!("read as {i}, {}", number(0.5, 2))],
        );
    }
    images.picture()
}

fn fields() -> Picture {
    let mut picture = Fields::new([-1.0, 1.0], [-1.0, 1.0]);
    let points: Vec<(Point, u8)> = (0..60)
        .map(|i| {
            let (t, class) = (f64::from(i / 2) / 30.0, i % 2);
            let angle = 5.0 * t + std::f64::consts::PI * f64::from(class);
            let r = 0.1 + 0.8 * t;
            ([r * angle.cos(), r * angle.sin()], class as u8)
        })
        .collect();
    for (width, turn) in [(1, 0.0), (2, 2.0), (8, 4.0), (32, 5.0)] {
        let p = |x: f64, y: f64| {
            let r = x.hypot(y);
            let angle = y.atan2(x) - turn * r;
            1.0 / (1.0 + (4.0 * angle.cos()).exp())
        };
        let at = |i: i32| -1.0 + (f64::from(i) + 0.5) / 20.0;
        let field: Vec<Vec<f64>> = (0..40)
            .map(|j| (0..40).map(|i| p(at(i), at(j))).collect())
            .collect();
        let name = format!("{width} units");
        picture = picture.panel(&name, "87.5 % right", &field, &points);
    }
    picture.picture()
}

fn bars() -> Picture {
    Bars::new("time of a step, ms")
        .bar("plain loops", 3.25)
        .bar("matrix product", 0.21)
        .bar("fused", 0.024)
        .paint(Paint::Series(3))
        .picture()
}

fn many_series() -> Picture {
    let mut chart = Chart::new(
        Axis::log("batch size B"),
        Axis::linear("images per second, thousands"),
    );
    for k in 0..6 {
        let rate = |b: f64| 100.0 * b / (b + f64::from(4 + 6 * k));
        let points: Vec<Point> =
            (0..8).map(|i| 2f64.powi(i)).map(|b| [b, rate(b)]).collect();
        chart = chart.marked_line(&format!("{} threads", k + 1), &points);
    }
    chart.picture()
}
