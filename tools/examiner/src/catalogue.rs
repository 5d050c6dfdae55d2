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
        page: "calculus/chain_rule.md#what-goes-wrong",
    },
    Mistake {
        code: "UPSTREAM_IGNORED",
        sentence: "The cotangent is not used: the result is the local \
                   derivative alone.",
        rule: "A backward multiplies what arrives from above by the local \
               derivative; without the first factor it is right only for a \
               cotangent of ones.",
        signature: "the same result for two different cotangents",
        page: "calculus/chain_rule.md#what-goes-wrong",
    },
    Mistake {
        code: "UPSTREAM_ONLY",
        sentence: "The cotangent is passed on unchanged: the local derivative \
                   is missing.",
        rule: "What goes down is what came from above times the local \
               derivative of this step.",
        signature: "the result equals the cotangent",
        page: "calculus/chain_rule.md#what-goes-wrong",
    },
    Mistake {
        code: "NOT_LINEAR_IN_UPSTREAM",
        sentence: "The gradient is not a linear function of the cotangent.",
        rule: "Twice the cotangent gives twice the gradient, whatever the inputs: nothing is added to it, and no sign or mask is taken from it.",
        signature: "the gradient of a sum of cotangents is not the sum of the \
                    gradients",
        page: "calculus/chain_rule.md#what-goes-wrong",
    },
    Mistake {
        code: "SIGN_FLIPPED",
        sentence: "Every entry has the wrong sign.",
        rule: "Follow one minus sign from the loss down; a difference such as \
               p - t must keep its order.",
        signature: "a constant ratio of -1 to the numeric gradient",
        page: "calculus/chain_rule.md#what-goes-wrong",
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
        rule: "Read the failing report again: which factor or pattern turns what is expected into what was got?",
        signature: "a name that the planted bug does not have",
        page: "calculus/chain_rule.md#what-goes-wrong",
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
        sentence: "The gradient is divided by the batch size once too often.",
        rule: "The mean over the batch is taken once, in the loss, and its \
               gradient has one 1/B; every step below only sums.",
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
        code: "EXAMPLE_SHOWS_NOTHING",
        sentence: "On this example the right product and the wrong one are equal, so it shows nothing.",
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
        sentence: "Each factor of a product is given its own value instead of the other one.",
        rule: "The derivative of a product with respect to one factor is the other one.",
        signature: "the gradient of a factor grows with that factor itself",
        page: "calculus/chain_rule.md#flat-code",
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
        sentence: "One link of the chain is missing, often a constant inside a function.",
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
        code: "RELU_EVERYWHERE",
        sentence: "The slope of ReLU is taken whatever the activation is.",
        rule: "Each layer has an activation of its own, and the slope is that \
               function's: 1 - a² for tanh, a(1 - a) for the sigmoid.",
        signature: "right for ReLU; elsewhere 0 wherever z is negative",
        page: "network/mlp.md#what-goes-wrong",
    },
    Mistake {
        code: "SLOPE_AT_WRONG_LAYER",
        sentence: "The slope is taken at the sum of the layer above.",
        rule: "The error below layer l + 1 passes the units of layer l, so \
               their slopes are taken at the sum of layer l.",
        signature: "runs only where two layers are equally wide",
        page: "network/mlp.md#the-code",
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
        code: "VALUE_AS_GRADIENT",
        sentence: "A variable whose value is 0 is thought to have the gradient \
                   0.",
        rule: "A gradient says what happens when the variable moves away from \
               its value; the value itself is not a factor of it.",
        signature: "a prediction of zero for a bias or an input that is 0",
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
    // network/softmax_cross_entropy
    Mistake {
        code: "DIAGONAL_JACOBIAN",
        sentence: "Softmax is treated entry by entry: only the diagonal of its \
                   Jacobian, p(1 - p), is used.",
        rule: "All probabilities share one denominator, so every probability \
               moves with every logit; the off-diagonal entries are -p_i·p_j.",
        signature: "equals diag(J)·dy; rows of dx do not sum to 0; with \
                    one-hot targets every entry but the label's is 0",
        page: "network/softmax_cross_entropy.md#what-goes-wrong",
    },
    Mistake {
        code: "SUM_NOT_DIFFERENCE",
        sentence: "The row's scalar is added where it belongs subtracted.",
        rule: "The off-diagonal entries of the Jacobian are negative: one \
               class's gain is the others' loss.",
        signature: "a row of dx sums to twice ⟨y, dy⟩ instead of 0",
        page: "network/softmax_cross_entropy.md#what-goes-wrong",
    },
    Mistake {
        code: "DOT_DROPPED",
        sentence: "The row's scalar ⟨y, dy⟩ is missing.",
        rule: "Raising a logit raises its own share and lowers all others; the \
               dot product is those others.",
        signature: "dx = y ⊙ dy; a row of dx sums to ⟨y, dy⟩ instead of 0",
        page: "network/softmax_cross_entropy.md#one-number-per-row",
    },
    Mistake {
        code: "PLAIN_SUM_FOR_DOT",
        sentence: "The row's scalar is the plain sum of dy, not its dot \
                   product with the probabilities.",
        rule: "Each class's cotangent counts with that class's probability.",
        signature: "dx = y ⊙ (dy - Σ dy)",
        page: "network/softmax_cross_entropy.md#one-number-per-row",
    },
    Mistake {
        code: "DOT_FOR_PLAIN_SUM",
        sentence: "The row's scalar is a dot product with the probabilities \
                   where a plain sum of dy belongs.",
        rule: "The logarithm has divided the probabilities out: in log-softmax \
               every class's cotangent counts once.",
        signature: "dx = dy - p·⟨p, dy⟩",
        page: "network/softmax_cross_entropy.md#log-softmax",
    },
    Mistake {
        code: "DIAGONAL_DROPPED",
        sentence: "Only the off-diagonal entries of the Jacobian are used.",
        rule: "A logit moves its own probability too, by p(1 - p).",
        signature: "a class's own cotangent does not reach its logit",
        page: "network/softmax_cross_entropy.md#the-jacobian",
    },
    Mistake {
        code: "PROBABILITY_FACTOR_DROPPED",
        sentence: "The factor in front, the class's own probability, is \
                   missing.",
        rule: "A logit moves things in proportion to its probability: a class \
               of probability 0 cannot be lowered.",
        signature: "the result divided by the right one is 1/p, entry by entry",
        page: "network/softmax_cross_entropy.md#one-number-per-row",
    },
    Mistake {
        code: "SOFTMAX_AXIS",
        sentence: "The sum runs over the batch instead of the classes.",
        rule: "Each example has a distribution of its own: exponentials, \
               denominators and dot products belong to one row.",
        signature: "columns of p sum to 1 instead of rows",
        page: "network/softmax_cross_entropy.md#one-denominator",
    },
    Mistake {
        code: "ONE_DOT_FOR_BATCH",
        sentence: "One scalar is used for the whole batch.",
        rule: "The scalar ⟨y, dy⟩ belongs to one row; keep the batch axis when \
               you sum.",
        signature: "right for a batch of one",
        page: "network/softmax_cross_entropy.md#one-number-per-row",
    },
    Mistake {
        code: "LOG_AS_PROBABILITY",
        sentence: "The output of log-softmax is used as if it were a \
                   probability.",
        rule: "Log-softmax returns ln p; the probability is its exponential.",
        signature: "negative numbers where probabilities belong",
        page: "network/softmax_cross_entropy.md#log-softmax",
    },
    Mistake {
        code: "SOFTMAX_RULE_ON_LOG",
        sentence: "The VJP of softmax is applied to log-softmax.",
        rule: "A logarithm stands in between: its derivative 1/p cancels the \
               factor p in front.",
        signature: "a factor p too many in every entry",
        page: "network/softmax_cross_entropy.md#log-softmax",
    },
    Mistake {
        code: "BATCH_MEAN_MISSING",
        sentence: "The mean over the batch is missing: the sum over the \
                   examples is returned.",
        rule: "The loss divides by B once, and so does its gradient; the value \
               and the gradient must use the same reduction.",
        signature: "a constant ratio of B; duplicating the batch doubles the \
                    gradient",
        page: "network/softmax_cross_entropy.md#cross-entropy",
    },
    Mistake {
        code: "MEAN_OVER_ENTRIES",
        sentence: "The mean is taken over all entries of the matrix, not over \
                   the examples.",
        rule: "A cross-entropy sums over the classes and averages over the \
               examples: divide by B, not by B·V.",
        signature: "a constant ratio of 1/V",
        page: "network/softmax_cross_entropy.md#cross-entropy",
    },
    Mistake {
        code: "LOG_BASE_2",
        sentence: "The logarithm has base 2: the result is in bits, not in \
                   nats.",
        rule: "Use the natural logarithm: only its derivative is 1/p without a \
               factor.",
        signature: "a constant ratio of 1/ln 2 = 1.4427",
        page: "network/softmax_cross_entropy.md#cross-entropy",
    },
    Mistake {
        code: "SOFT_TARGETS_IGNORED",
        sentence: "Only the likeliest class of each target row is used.",
        rule: "Every class with a positive target contributes its share, to \
               the loss and to the gradient.",
        signature: "right for one-hot targets only",
        page: "network/softmax_cross_entropy.md#soft-targets",
    },
    Mistake {
        code: "ENTROPY_SUBTRACTED",
        sentence: "The entropy of the targets is subtracted: that is the \
                   Kullback-Leibler divergence.",
        rule: "Cross-entropy is entropy plus divergence. Both have the same \
               gradient in the logits, not the same value.",
        signature: "right for one-hot targets only; the loss of p = t is 0",
        page: "network/softmax_cross_entropy.md#soft-targets",
    },
    Mistake {
        code: "TARGET_FORGOTTEN",
        sentence: "The target is missing: the result is the probability alone.",
        rule: "p is the gradient of log-sum-exp; the label's own logit enters \
               the loss once more, with a minus.",
        signature: "no entry is negative; a row sums to 1/B instead of 0",
        page: "network/softmax_cross_entropy.md#p-minus-t",
    },
    Mistake {
        code: "JACOBIAN_SKIPPED",
        sentence: "The gradient with respect to the probabilities is returned \
                   as that of the logits.",
        rule: "One more step of the chain: from the probabilities through the \
               softmax, or sigmoid, to the logits.",
        signature: "-t/p; entries of the classes that are not the label are 0",
        page: "network/softmax_cross_entropy.md#p-minus-t",
    },
    Mistake {
        code: "JACOBIAN_TWICE",
        sentence: "p - t is passed through the softmax's VJP once more.",
        rule: "p - t is the gradient with respect to the logits already: the \
               softmax is inside it.",
        signature: "too small by about p; a row still sums to 0",
        page: "network/softmax_cross_entropy.md#what-goes-wrong",
    },
    Mistake {
        code: "DOUBLE_SOFTMAX_GRAD",
        sentence: "p - t is multiplied by p(1 - p) once more.",
        rule: "p - t is the gradient with respect to the logits already: the \
               softmax, or sigmoid, is inside it.",
        signature: "the ratio to the numeric gradient is p(1 - p), entry by \
                    entry; it vanishes where the prediction is most wrong",
        page: "network/softmax_cross_entropy.md#what-goes-wrong",
    },
    Mistake {
        code: "DOUBLE_SOFTMAX",
        sentence: "Softmax is applied twice: probabilities are handed to a \
                   loss that expects logits.",
        rule: "A loss with logits in its name contains the softmax; give it \
               the raw outputs of the last layer.",
        signature: "the loss cannot fall below ln(1 + (V-1)/e); the gradient \
                    check passes",
        page: "network/softmax_cross_entropy.md#what-goes-wrong",
    },
    Mistake {
        code: "LOGITS_FOR_PROBABILITIES",
        sentence: "The logits stand where the probabilities belong.",
        rule: "What was multiplied in the forward was the output of the \
               softmax.",
        signature: "the gradient changes when all logits are shifted",
        page: "network/softmax_cross_entropy.md#one-denominator",
    },
    Mistake {
        code: "OVERFLOW",
        sentence: "An exponential overflows.",
        rule: "Subtract the row's largest logit first (or use exp(-|x|)): the \
               shift cancels in the quotient, and no exponent is above 0.",
        signature: "NaN or ∞ from logits of about 710 (f64) or 89 (f32)",
        page: "network/softmax_cross_entropy.md#log-sum-exp",
    },
    Mistake {
        code: "LOG_OF_ZERO",
        sentence: "A probability rounds to 0 and its logarithm, or its \
                   reciprocal, is taken.",
        rule: "Never form p and then ln p: ln p is x - lse, and in the \
               gradient the division by p has cancelled on paper.",
        signature: "a loss of ∞, a gradient of NaN (0·∞), though the logits \
                    are finite",
        page: "network/softmax_cross_entropy.md#log-softmax",
    },
    Mistake {
        code: "EPSILON_IN_LOG",
        sentence: "A small number guards the logarithm: very wrong predictions \
                   all cost the same, and their gradient is 0.",
        rule: "Do not repair ln 0, avoid it: ln p is x - lse.",
        signature: "the loss stops rising at -ln ε (18.42 for 1e-8), and the \
                    gradient vanishes there",
        page: "network/softmax_cross_entropy.md#what-goes-wrong",
    },
    Mistake {
        code: "LOGITS_CLIPPED",
        sentence: "The logits are clipped to a range before the softmax.",
        rule: "Only differences between logits matter: subtract the row's \
               maximum, which changes no result, instead of clipping, which \
               does.",
        signature: "logits that differ become equal when a large number is \
                    added to all",
        page: "network/softmax_cross_entropy.md#log-sum-exp",
    },
    Mistake {
        code: "STOPS_WHEN_RIGHT",
        sentence: "An example that is already classified right is thought to \
                   have no gradient.",
        rule: "That is the hinge loss. The cross-entropy asks for a \
               probability of 1, which no finite logits reach.",
        signature: "zeros where the label has the largest logit",
        page: "network/softmax_cross_entropy.md#p-minus-t",
    },
    Mistake {
        code: "TARGET_ALWAYS_RAISED",
        sentence: "Every class that has a target is thought to be pulled up.",
        rule: "What counts is p - t: a class whose probability is above its \
               target is pushed down.",
        signature: "a minus on every class with a target",
        page: "network/softmax_cross_entropy.md#soft-targets",
    },
    Mistake {
        code: "TRIVIAL_COTANGENT",
        sentence: "A row of the cotangent is zero.",
        rule: "With a zero cotangent every VJP is zero, right or wrong; look \
               for another.",
        signature: "all entries 0",
        page: "network/softmax_cross_entropy.md#what-a-sum-cannot-see",
    },
    Mistake {
        code: "NOT_BLIND",
        sentence: "This cotangent has a gradient that is not zero.",
        rule: "The softmax does not notice a shift of all logits together; \
               which cotangent asks only for that?",
        signature: "its entries are not all equal",
        page: "network/softmax_cross_entropy.md#what-a-sum-cannot-see",
    },
    Mistake {
        code: "TEMPERATURE_FORGOTTEN",
        sentence: "A factor 1/τ is missing.",
        rule: "Dividing by τ is a step of the chain like any other: dx gets \
               one factor 1/τ, dτ gets two.",
        signature: "a constant ratio of τ",
        page: "network/softmax_cross_entropy.md#temperature",
    },
    Mistake {
        code: "TEMPERATURE_TWICE",
        sentence: "There is one factor 1/τ too many.",
        rule: "Start both from the gradient of z = x/τ: dx = dz/τ and dτ = \
               -Σ dz ⊙ x/τ². A dx in place of dz already has its factor.",
        signature: "a constant ratio of 1/τ",
        page: "network/softmax_cross_entropy.md#temperature",
    },
    Mistake {
        code: "TEMPERATURE_INVERTED",
        sentence: "The gradient is multiplied by the temperature instead of \
                   divided.",
        rule: "The forward divides by τ, so the backward divides by τ.",
        signature: "a constant ratio of τ²",
        page: "network/softmax_cross_entropy.md#temperature",
    },
    Mistake {
        code: "TEMPERATURE_NOT_IN_SOFTMAX",
        sentence: "The probabilities are those of the logits without the \
                   temperature.",
        rule: "The residual p - t is taken where the loss is: after the \
               division by τ.",
        signature: "right for τ = 1 only",
        page: "network/softmax_cross_entropy.md#temperature",
    },
    Mistake {
        code: "SMOOTHING_FORGOTTEN",
        sentence: "The targets are one-hot: the smoothing is missing.",
        rule: "The gradient is p minus the target that the loss uses.",
        signature: "right for ε = 0 only",
        page: "network/softmax_cross_entropy.md#soft-targets",
    },
    Mistake {
        code: "SMOOTHING_SPARES_LABEL",
        sentence: "The smoothing mass ε is shared by the other V - 1 classes \
                   only.",
        rule: "The uniform share ε/V goes to every class, the label included.",
        signature: "ε/(V-1) on the other classes, 1 - ε on the label",
        page: "network/softmax_cross_entropy.md#soft-targets",
    },
    Mistake {
        code: "TARGETS_NOT_ONE",
        sentence: "The smoothed targets do not sum to 1.",
        rule: "What is given to the other classes is taken from the label; p - \
               t is the gradient only if t sums to 1.",
        signature: "a row of dx does not sum to 0",
        page: "network/softmax_cross_entropy.md#soft-targets",
    },
    Mistake {
        code: "WEIGHT_FORGOTTEN",
        sentence: "The weight of the positive class is missing.",
        rule: "A positive example counts w times, in the loss and in the \
               gradient.",
        signature: "right for w = 1 only",
        page: "network/softmax_cross_entropy.md#two-classes",
    },
    Mistake {
        code: "WEIGHT_ON_BOTH",
        sentence: "The weight multiplies both classes.",
        rule: "Only the term with t, the positive one, carries the weight.",
        signature: "right where every target is 1",
        page: "network/softmax_cross_entropy.md#two-classes",
    },
    Mistake {
        code: "WEIGHT_ON_TARGET_ONLY",
        sentence: "The gradient is σ(x) - w·t: the weight is on the target \
                   alone.",
        rule: "The weighted targets w·t and 1 - t do not sum to 1, and as for \
               any such targets their sum multiplies the probability.",
        signature: "right for t = 0 only; for t = 1 it is σ(x) - w instead of \
                    w·(σ(x) - 1)",
        page: "network/softmax_cross_entropy.md#two-classes",
    },
    Mistake {
        code: "WEIGHT_PER_EXAMPLE",
        sentence: "The weight multiplies a whole example, by 1 + t·(w - 1).",
        rule: "w belongs to the term with t. For a target between 0 and 1 \
               both terms count, and only one of them is weighted.",
        signature: "right for targets of 0 or 1 only",
        page: "network/softmax_cross_entropy.md#two-classes",
    },
    Mistake {
        code: "MEAN_OVER_WEIGHTS",
        sentence: "The sum over the batch is divided by the sum of the \
                   weights, not by B.",
        rule: "Both means are in use. This one divides by B; what counts is \
               that the loss and its gradient divide by the same number.",
        signature: "right for w = 1 only; a ratio that depends on how many \
                    targets are positive",
        page: "network/softmax_cross_entropy.md#in-practice",
    },
    Mistake {
        code: "TABLE_SKIPPED",
        sentence: "dy, the cotangent of the product p·e, stands where the \
                   cotangent of p belongs.",
        rule: "One step at a time: first through the product, dp = dy·eᵀ, \
               then through the softmax.",
        signature: "runs only where the table is square",
        page: "network/softmax_cross_entropy.md#one-number-per-row",
    },
    Mistake {
        code: "NEGATIVE_CLASS_FORGOTTEN",
        sentence: "The term of the negative class is missing.",
        rule: "A target of 0 costs too: -(1-t)·ln(1 - σ(x)).",
        signature: "a batch of negatives costs nothing",
        page: "network/softmax_cross_entropy.md#two-classes",
    },
    Mistake {
        code: "SOFTMAX_OF_ONE_LOGIT",
        sentence: "Softmax is applied to a single logit: the probability is \
                   always 1.",
        rule: "One logit needs a sigmoid, which is the softmax of (x, 0).",
        signature: "a gradient that does not depend on the logit",
        page: "network/softmax_cross_entropy.md#two-classes",
    },
    Mistake {
        code: "JACOBIAN_SHARED",
        sentence: "One Jacobian is counted for all rows.",
        rule: "Every row has probabilities of its own, and so a Jacobian of \
               its own.",
        signature: "too small by a factor of B",
        page: "network/softmax_cross_entropy.md#what-it-costs",
    },
    Mistake {
        code: "JACOBIAN_OF_BATCH",
        sentence: "The Jacobian of the whole batch is counted, zeros included.",
        rule: "Rows do not interact: of the (B·V)² entries only B blocks of V² \
               are not zero.",
        signature: "too large by a factor of B",
        page: "network/softmax_cross_entropy.md#what-it-costs",
    },
    Mistake {
        code: "SUM_AS_N_MINUS_1",
        sentence: "A sum of n numbers is counted as n - 1 operations.",
        rule: "It has n - 1 plus signs, that is true; the task counts n, so \
               that every pass over a row costs the same.",
        signature: "one too few for every sum",
        page: "network/softmax_cross_entropy.md#what-it-costs",
    },
    Mistake {
        code: "PASS_FORGOTTEN",
        sentence: "One of the four passes over the row is not counted.",
        rule: "The dot product takes V products and a sum of V numbers; the \
               differences and the last products take V each.",
        signature: "3V for a row instead of 4V",
        page: "network/softmax_cross_entropy.md#what-it-costs",
    },
    Mistake {
        code: "DOT_PER_ENTRY",
        sentence: "The dot product is computed again for every entry.",
        rule: "The scalar is the same for the whole row: compute it once.",
        signature: "grows with V², like the Jacobian's product",
        page: "network/softmax_cross_entropy.md#what-it-costs",
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
