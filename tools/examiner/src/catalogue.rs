//! Every mistake that the examiner knows by name.
//!
//! One list; the book's appendix is printed from it. Every entry has at least
//! one twin in `solutions/`: a test of the certificate counts them.

/// A mistake with a name.
#[derive(Debug)]
pub struct Mistake {
    /// The name: upper case, as reports print it.
    pub code: &'static str,
    /// What was done, in one plain sentence.
    pub sentence: &'static str,
    /// The rule that mends it, without giving the code away.
    pub rule: &'static str,
    /// What a machine or a reader sees.
    pub signature: &'static str,
    /// Where the book explains it: `network/linear.md#the-bias`.
    pub page: &'static str,
}

/// The mistake of that code.
pub fn find(code: &str) -> Option<&'static Mistake> {
    MISTAKES.iter().find(|m| m.code == code)
}

/// All of them: the general ones first, then chapter by chapter.
pub const MISTAKES: &[Mistake] = &[
    Mistake {
        code: "ALL_ZERO",
        sentence: "The gradient is zero everywhere, though the true one is \
                   not.",
        rule: "Every input that moves the loss has a gradient; an early \
               return or an accumulator that is never added to loses it.",
        signature: "all entries 0 while the numeric gradient is not",
        page: "network/linear.md#what-goes-wrong",
    },
    Mistake {
        code: "UPSTREAM_IGNORED",
        sentence: "The cotangent is not used: the result is the local \
                   derivative alone.",
        rule: "A backward multiplies what arrives from above by the local \
               derivative; without the first factor it is right only for a \
               cotangent of ones.",
        signature: "the same result for two different cotangents",
        page: "network/linear.md#what-goes-wrong",
    },
    Mistake {
        code: "UPSTREAM_ONLY",
        sentence: "The cotangent is passed on unchanged: the local derivative \
                   is missing.",
        rule: "What goes down is what came from above times the local \
               derivative of this step.",
        signature: "the result equals the cotangent",
        page: "network/linear.md#what-goes-wrong",
    },
    Mistake {
        code: "NOT_LINEAR_IN_UPSTREAM",
        sentence: "The gradient is not a linear function of the cotangent.",
        rule: "A VJP is one matrix times the cotangent: twice the cotangent \
               gives twice the gradient, whatever the input. Masks and signs \
               come from the forward's values, never from dy.",
        signature: "the gradient of a sum of cotangents is not the sum of the \
                    gradients",
        page: "network/linear.md#what-goes-wrong",
    },
    Mistake {
        code: "SIGN_FLIPPED",
        sentence: "Every entry has the wrong sign.",
        rule: "Follow one minus sign from the loss down; a difference such as \
               p - y must keep its order.",
        signature: "a constant ratio of -1 to the numeric gradient",
        page: "network/linear.md#what-goes-wrong",
    },
    Mistake {
        code: "TRANSPOSED",
        sentence: "The gradient is the transpose of the right one.",
        rule: "A gradient has the shape of its variable: rows of the gradient \
               belong to rows of the variable.",
        signature: "equals the transposed numeric gradient; square shapes \
                    hide it from shape checks",
        page: "network/linear.md#the-weight-gradient",
    },
    Mistake {
        code: "WRONG_SHAPE",
        sentence: "The gradient does not have the shape of its variable.",
        rule: "What was broadcast in the forward is summed in the backward, \
               and nothing else is.",
        signature: "another shape than the variable",
        page: "network/linear.md#the-bias-gradient",
    },
    Mistake {
        code: "SHAPES_DO_NOT_FIT",
        sentence: "Two arrays meet whose dimensions do not fit.",
        rule: "Write the shapes under each factor: the dimension between two \
               factors is the one that is summed away, and it must be the \
               same on both sides.",
        signature: "a panic of the matrix product or of a broadcast",
        page: "network/linear.md#shapes-are-a-hint-not-a-proof",
    },
    Mistake {
        code: "WRONG_BUG",
        sentence: "The bug has another name.",
        rule: "Read the failing report again: which gradient, which factor or \
               pattern, on which shapes?",
        signature: "a name that the planted bug does not have",
        page: "network/linear.md#what-goes-wrong",
    },
    Mistake {
        code: "TRANSPOSE_MISSING_DX",
        sentence: "The input gradient multiplies dy by w instead of its \
                   transpose.",
        rule: "Input i reaches output o with weight w_io; going back, output \
               o asks input i with the same w_io, so the sum runs over o.",
        signature: "runs only for square w; the column sums of w where its \
                    row sums belong",
        page: "network/linear.md#the-input-gradient",
    },
    Mistake {
        code: "TRANSPOSE_MISSING_DW",
        sentence: "The weight gradient multiplies x by dy without \
                   transposing x.",
        rule: "The batch is summed away, so it must stand between the two \
               factors: x brings it as its rows, and has to turn.",
        signature: "runs only when the batch is as large as the input",
        page: "network/linear.md#the-weight-gradient",
    },
    Mistake {
        code: "TRANSPOSE_MISSING",
        sentence: "A factor that has to be transposed is not.",
        rule: "Write one entry of the gradient as a sum; the index that is \
               summed stands at the inner side of both factors.",
        signature: "runs only for square shapes",
        page: "network/linear.md#shapes-are-a-hint-not-a-proof",
    },
    Mistake {
        code: "WRONG_SIDE",
        sentence: "The right factors are multiplied in the wrong order.",
        rule: "Matrix products do not commute: in the row convention the \
               cotangent keeps its batch on the left in dx, and on the inside \
               in dw.",
        signature: "runs only for square shapes",
        page: "network/linear.md#shapes-are-a-hint-not-a-proof",
    },
    Mistake {
        code: "HADAMARD_FOR_MATMUL",
        sentence: "Entries are multiplied one by one where a matrix product \
                   is needed.",
        rule: "Each input reaches every output, so its gradient is a sum over \
               all of them, each with its own weight.",
        signature: "every row of the result is a multiple of one and the \
                    same row",
        page: "network/linear.md#the-input-gradient",
    },
    Mistake {
        code: "GRAD_OVERWRITTEN",
        sentence: "A loop assigns where it should add, so only the last \
                   contribution is left.",
        rule: "Where several paths reach one variable, their gradients add: \
               += in the loop, starting from zero.",
        signature: "only the last example's outer product",
        page: "network/linear.md#the-weight-gradient",
    },
    Mistake {
        code: "ONE_EXAMPLE_ONLY",
        sentence: "Only the first example of the batch contributes.",
        rule: "The same weight served every example, so every example adds \
               its share.",
        signature: "the first example's outer product; right for a batch of 1",
        page: "network/linear.md#the-weight-gradient",
    },
    Mistake {
        code: "BATCH_MEAN_TWICE",
        sentence: "The gradient is divided by the batch size here, although \
                   the loss divides already.",
        rule: "The mean over the batch is taken once, in the loss; a layer \
               only sums.",
        signature: "a constant ratio of 1/B",
        page: "network/linear.md#the-bias-gradient",
    },
    Mistake {
        code: "BIAS_MEAN_NOT_SUM",
        sentence: "The bias gradient is the mean over the batch, not the sum.",
        rule: "The bias was added to every row; what is copied in the forward \
               is summed in the backward.",
        signature: "a constant ratio of 1/B, on the bias only",
        page: "network/linear.md#the-bias-gradient",
    },
    Mistake {
        code: "BIAS_AXIS",
        sentence: "The bias gradient is summed over the wrong axis.",
        rule: "Sum away the batch and keep one number per output.",
        signature: "one number per example instead of one per output; silent \
                    when both counts agree",
        page: "network/linear.md#the-bias-gradient",
    },
    Mistake {
        code: "BIAS_OVERREDUCED",
        sentence: "All outputs get the same bias gradient, the total of dy.",
        rule: "Sum over the batch only; each output has a bias of its own.",
        signature: "all entries equal the sum of all of dy",
        page: "network/linear.md#the-bias-gradient",
    },
    Mistake {
        code: "BIAS_VIA_WEIGHTS",
        sentence: "The bias gradient depends on the input.",
        rule: "The bias is added after the product: its local derivative is \
               1, whatever x is.",
        signature: "changes when x changes",
        page: "network/linear.md#the-bias-gradient",
    },
    Mistake {
        code: "BIAS_FORGOTTEN",
        sentence: "The bias is not added.",
        rule: "The layer is affine: a product, and then a shift.",
        signature: "y - b on every row",
        page: "network/linear.md#one-layer-one-batch",
    },
    Mistake {
        code: "BIAS_DOWN_COLUMNS",
        sentence: "The bias is added by example instead of by output.",
        rule: "b has one number per output, and an output is a column of y.",
        signature: "runs only when the batch is as large as the output",
        page: "network/linear.md#one-layer-one-batch",
    },
    Mistake {
        code: "CONVENTION_MIXED",
        sentence: "A formula of the other convention is used: examples as \
                   rows and examples as columns are mixed.",
        rule: "Decide which index counts the examples, and transpose the \
               whole formula, not one factor of it.",
        signature: "runs only for square shapes",
        page: "network/linear.md#the-other-convention",
    },
    Mistake {
        code: "SYMMETRY_HIDES_IT",
        sentence: "The example is symmetric, so right and wrong agree on it.",
        rule: "A counter-example must be one on which the two formulas give \
               different numbers.",
        signature: "x·dy equals xᵀ·dy",
        page: "network/linear.md#shapes-are-a-hint-not-a-proof",
    },
    Mistake {
        code: "FACTOR_FORGOTTEN",
        sentence: "The gradient of the whole weight is given to one of its \
                   factors.",
        rule: "A factor moves the weight only through its partner, so the \
               partner multiplies its gradient.",
        signature: "the shape of w instead of the factor's",
        page: "network/linear.md#a-weight-made-of-two-factors",
    },
    Mistake {
        code: "FACTORS_SWAPPED",
        sentence: "Each factor is multiplied by itself instead of its partner.",
        rule: "The derivative of a product with respect to one factor is the \
               other one.",
        signature: "du depends on u, dv on v",
        page: "network/linear.md#a-weight-made-of-two-factors",
    },
    Mistake {
        code: "MULTIPLICATIONS_ONLY",
        sentence: "Only the multiplications are counted, not the additions.",
        rule: "An entry of a product (n,k)(k,m) takes k multiplications and k \
               additions: 2nkm in all.",
        signature: "half of the products' count",
        page: "network/linear.md#what-it-costs",
    },
    Mistake {
        code: "FIRST_LAYER_DX",
        sentence: "The input gradient is counted even where nothing needs it.",
        rule: "The first layer of a network has no layer below to hand dx to.",
        signature: "the same count with and without dx",
        page: "network/linear.md#what-it-costs",
    },
    Mistake {
        code: "BIAS_NOT_COUNTED",
        sentence: "The bias gradient is left out of the count.",
        rule: "Summing B rows of O numbers costs B·O additions.",
        signature: "too small by B·O",
        page: "network/linear.md#what-it-costs",
    },
    Mistake {
        code: "FORWARD_COUNTED",
        sentence: "One product is counted: that is the cost of the forward.",
        rule: "The backward has a product for the weight and, above the first \
               layer, one for the input.",
        signature: "the same count with and without dx, half as large",
        page: "network/linear.md#what-it-costs",
    },
    // calculus/chain_rule
    Mistake {
        code: "OUTER_AT_INPUT",
        sentence: "The outer derivative is taken at x, not at what arrives there.",
        rule: "A slope is taken where the function stands: in f(g(x)) the outer one at g(x).",
        signature: "the outer slope evaluated at the input of the whole chain",
        page: "calculus/chain_rule.md#where-the-outer-derivative-is-taken",
    },
    Mistake {
        code: "INNER_FORGOTTEN",
        sentence: "The inner derivative is missing.",
        rule: "Every step of the chain contributes one factor, the innermost too.",
        signature: "the outer slope alone",
        page: "calculus/chain_rule.md#upstream-times-local",
    },
    Mistake {
        code: "OUTER_FORGOTTEN",
        sentence: "The outer derivative is missing.",
        rule: "Every step of the chain contributes one factor, the outermost too.",
        signature: "the inner slope alone",
        page: "calculus/chain_rule.md#upstream-times-local",
    },
    Mistake {
        code: "LINK_FORGOTTEN",
        sentence: "One link of the chain is missing, the constant inside the exponent.",
        rule: "A multiplication by a constant is a step as well, and its slope is that constant.",
        signature: "a constant ratio of one over that constant",
        page: "calculus/chain_rule.md#the-order-matters",
    },
    Mistake {
        code: "ADDED_NOT_MULTIPLIED",
        sentence: "The local derivatives are added.",
        rule: "Rates of change along one path multiply; only separate paths add.",
        signature: "the sum of the slopes",
        page: "calculus/chain_rule.md#upstream-times-local",
    },
    Mistake {
        code: "VALUE_FOR_SLOPE",
        sentence: "The outer function itself stands where its derivative belongs.",
        rule: "Only exp is its own derivative; the slope of sin is cos.",
        signature: "the value of the outer function as a factor",
        page: "calculus/chain_rule.md#upstream-times-local",
    },
    Mistake {
        code: "POWER_WITHOUT_TWO",
        sentence: "The square is differentiated without its factor 2.",
        rule: "The slope of u² is 2u: a square grows through both of its factors.",
        signature: "a constant ratio of 1/2",
        page: "calculus/chain_rule.md#flat-code",
    },
    Mistake {
        code: "ORDER_SWAPPED",
        sentence: "This is the derivative of the composition in the other order.",
        rule: "The inner function acts first; write down what arrives where before you differentiate.",
        signature: "the value of the other composition",
        page: "calculus/chain_rule.md#the-order-matters",
    },
    Mistake {
        code: "SWAPPED_FACTORS",
        sentence: "Each factor of the product got its own value instead of the other one.",
        rule: "The derivative of x·w with respect to w is x.",
        signature: "dx multiplied by x, dw by w",
        page: "calculus/chain_rule.md#flat-code",
    },
    Mistake {
        code: "INVERSE_DERIVATIVE",
        sentence: "The cotangent is divided by the slope.",
        rule: "Upstream is multiplied by the local derivative; dividing belongs to the inverse function.",
        signature: "the reciprocal of the slope",
        page: "calculus/chain_rule.md#upstream-times-local",
    },
    Mistake {
        code: "SLOPE_OF_OUTPUT",
        sentence: "The output is treated as if it were the input.",
        rule: "With y in hand, write the slope in terms of y; do not apply the function again.",
        signature: "the slope taken at the output",
        page: "calculus/chain_rule.md#the-sigmoid-from-its-own-output",
    },
    Mistake {
        code: "SIGMOID_SLOPE",
        sentence: "The slope of the sigmoid is used for another function.",
        rule: "y(1 - y) belongs to the sigmoid alone; derive the slope of this function.",
        signature: "y(1 - y) as a factor",
        page: "calculus/chain_rule.md#the-sigmoid-from-its-own-output",
    },
    Mistake {
        code: "STEP_TOO_LARGE",
        sentence: "The step is so large that the function bends within it.",
        rule: "The truncation error falls with h²: a function that turns fast needs a smaller step.",
        signature: "halving h divides the error by four",
        page: "calculus/chain_rule.md#is-it-right",
    },
    Mistake {
        code: "STEP_TOO_SMALL",
        sentence: "The step is so small that rounding takes over.",
        rule: "The difference of two nearly equal numbers keeps few digits; a larger step keeps more.",
        signature: "halving h makes the error larger",
        page: "calculus/chain_rule.md#is-it-right",
    },
    // network/mlp
    Mistake {
        code: "SLOPE_FORGOTTEN",
        sentence: "The error passes a unit without the slope of its \
                   activation: the ReLU mask, or σ'(z), is left out.",
        rule: "Going down, the error crosses the weight and then the \
               activation; the second crossing multiplies by σ' at that \
               unit's own sum.",
        signature: "delta·wᵀ without a factor; for ReLU right wherever all \
                    units are active",
        page: "network/mlp.md#an-inactive-unit",
    },
    Mistake {
        code: "OUTPUT_SLOPE_FORGOTTEN",
        sentence: "The error at the output is taken to be dy: the slope of \
                   the last activation is left out.",
        rule: "BP1 multiplies dy by the slope at the last sum; only an \
               identity, or a loss that takes logits, leaves dy as it is.",
        signature: "the last layer's gradients are wrong already, by one \
                    factor per entry",
        page: "network/mlp.md#bp1",
    },
    Mistake {
        code: "SLOPE_BEFORE_WEIGHT",
        sentence: "The slope multiplies the error above the weight instead of \
                   below it.",
        rule: "Backwards means in opposite order: the forward went through \
               the activation and then the next weight, so the error crosses \
               that weight first.",
        signature: "(delta ⊙ slope)·wᵀ where (delta·wᵀ) ⊙ slope belongs",
        page: "network/mlp.md#what-goes-wrong",
    },
    Mistake {
        code: "MASK_FROM_UPSTREAM",
        sentence: "The ReLU mask is taken from the gradient that arrives, not \
                   from the forward's values.",
        rule: "Whether a unit lets the error through depends on the sign of \
               its own sum z; the sign of the error has no say in it.",
        signature: "negative errors vanish, and inactive units pass positive \
                    ones; not linear in the upstream",
        page: "network/mlp.md#what-goes-wrong",
    },
    Mistake {
        code: "WEIGHT_OF_WRONG_LAYER",
        sentence: "The error is carried down through the weight of the wrong \
                   layer.",
        rule: "From the error of layer l+1 to that of layer l leads the \
               weight between them, which is the one of layer l+1.",
        signature: "runs only where the layers have equal widths",
        page: "network/mlp.md#bp2",
    },
    Mistake {
        code: "SUM_FOR_ACTIVATION",
        sentence: "The weight gradient reads the weighted sum z below instead \
                   of the activation a.",
        rule: "A weight multiplies what leaves the unit below, so its \
               gradient is the error times the activation.",
        signature: "right in the first layer, and wherever the unit below is \
                    an active ReLU",
        page: "network/mlp.md#bp3-and-bp4",
    },
    Mistake {
        code: "LAYERS_REVERSED",
        sentence: "The gradients come in the order in which they were found, \
                   the last layer first.",
        rule: "The errors are found from the top down; the list that is \
               returned starts with the first layer.",
        signature: "the first pair has the shape of the last layer",
        page: "network/mlp.md#the-code",
    },
    Mistake {
        code: "ONE_USE_ONLY",
        sentence: "The weight is used in two places, but only one of them is \
                   counted.",
        rule: "Write each use as if it had a weight of its own, take both \
               gradients, and add them in the shape of w.",
        signature: "one of two terms of the numeric gradient",
        page: "network/mlp.md#bp3-and-bp4",
    },
    Mistake {
        code: "USES_NOT_ALIKE",
        sentence: "One use of the weight is counted twice, as if both said \
                   the same.",
        rule: "Each use has an input and an error of its own; their gradients \
               differ, and are added.",
        signature: "twice one of the two terms",
        page: "network/mlp.md#bp3-and-bp4",
    },
    Mistake {
        code: "DEAD_UNIT_OUTGOING",
        sentence: "The weight that leads out of an inactive unit is thought \
                   to get a gradient.",
        rule: "Its gradient is the activation below times the error above, \
               and an inactive ReLU unit has activation 0.",
        signature: "a prediction of a non-zero where a is 0",
        page: "network/mlp.md#an-inactive-unit",
    },
    Mistake {
        code: "OUTPUT_CACHED",
        sentence: "The network's output is counted as kept.",
        rule: "No layer reads it again: BP1 takes the slope at the last sum, \
               and the loss keeps what it needs.",
        signature: "too large by B·n_L",
        page: "network/mlp.md#what-is-kept",
    },
    Mistake {
        code: "INPUT_NOT_CACHED",
        sentence: "The batch itself is not counted as kept.",
        rule: "BP3 of the first layer multiplies by it.",
        signature: "too small by B·n_0",
        page: "network/mlp.md#what-is-kept",
    },
    Mistake {
        code: "BATCH_NOT_COUNTED",
        sentence: "Only one example is counted.",
        rule: "What is kept has one row per example; parameters do not.",
        signature: "too small by a factor of B",
        page: "network/mlp.md#what-is-kept",
    },
    Mistake {
        code: "PARAMETERS_CACHED",
        sentence: "The parameters are counted as if the forward kept them.",
        rule: "They are there before and after the step, whatever the batch; \
               the cache is what this forward adds.",
        signature: "too large by the number of parameters",
        page: "network/mlp.md#what-is-kept",
    },
    Mistake {
        code: "SUMS_ALWAYS_CACHED",
        sentence: "The sums are counted although the slopes are read off the \
                   activations.",
        rule: "Where σ' can be written in terms of a = σ(z), z need not be \
               kept beside a.",
        signature: "the same count with and without keep_sums",
        page: "network/mlp.md#what-is-kept",
    },
    Mistake {
        code: "UPDATED_TOO_EARLY",
        sentence: "A weight is changed before the error below it is computed, \
                   so the error is carried back through the new weight.",
        rule: "All gradients belong to one point. Compute every one of them \
               before the first parameter moves.",
        signature: "the losses after the first step are off by a little, \
                    more with every step",
        page: "network/mlp.md#the-code",
    },
    Mistake {
        code: "BIAS_NOT_UPDATED",
        sentence: "Only the weights are updated, the biases stay.",
        rule: "A bias that starts at zero still has a gradient, and BP4 says \
               which.",
        signature: "the loss falls more slowly",
        page: "network/mlp.md#by-hand",
    },
    Mistake {
        code: "HALF_FORGOTTEN",
        sentence: "The gradient of the squared error is taken, though the \
                   loss has a half in front of it.",
        rule: "The derivative of (y - t)²/2 is y - t: the half is there to \
               cancel the 2.",
        signature: "steps twice as long as asked for",
        page: "network/mlp.md#by-hand",
    },
    Mistake {
        code: "LAST_LAYER_ONLY",
        sentence: "Only the last layer is trained.",
        rule: "The error goes on through BP2: the hidden layer has gradients \
               too.",
        signature: "the loss falls, but more slowly",
        page: "network/mlp.md#by-hand",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_sentences_are_sentences() {
        for (i, m) in MISTAKES.iter().enumerate() {
            assert!(MISTAKES[..i].iter().all(|o| o.code != m.code), "{m:?}");
            assert!(m.sentence.ends_with('.'), "{}", m.code);
            assert!(m.rule.ends_with(['.', '?']), "{}", m.code);
            assert!(m.page.contains(".md#"), "{}", m.code);
            assert!(m.code.bytes().all(|b| b.is_ascii_uppercase()
                || b.is_ascii_digit()
                || b == b'_'));
        }
    }
}
