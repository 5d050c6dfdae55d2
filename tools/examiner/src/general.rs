//! The mistakes that belong to no chapter: the judge itself knows them.

crate::names! { "";
    ALL_ZERO "calculus/chain_rule.md#what-goes-wrong":
        "The gradient is zero everywhere, though the true one is not.",
        "Every input that moves the loss has a gradient; an early return or an \
         accumulator that is never added to loses it.",
        "all entries 0 while the numeric gradient is not";
    UPSTREAM_IGNORED "calculus/chain_rule.md#what-goes-wrong":
        "The cotangent is not used: the result is the local derivative alone.",
        "A backward multiplies what arrives from above by the local \
         derivative; without the first factor it is right only for a cotangent \
         of ones.",
        "the same result for two different cotangents";
    UPSTREAM_ONLY "calculus/chain_rule.md#what-goes-wrong":
        "The cotangent is passed on unchanged: the local derivative is \
         missing.",
        "What goes down is what came from above times the local derivative of \
         this step.",
        "the result equals the cotangent";
    NOT_LINEAR_IN_UPSTREAM "calculus/chain_rule.md#what-goes-wrong":
        "The gradient is not a linear function of the cotangent.",
        "Twice the cotangent gives twice the gradient, whatever the inputs: \
         nothing is added to it, and no sign or mask is taken from it.",
        "the gradient of a sum of cotangents is not the sum of the gradients";
    SIGN_FLIPPED "calculus/chain_rule.md#what-goes-wrong":
        "The sign is wrong, everywhere or on the inputs that are wrong.",
        "Follow one minus sign from the loss down; a difference such as p - t \
         must keep its order.",
        "a constant ratio of -1 to the numeric gradient";
    TRANSPOSED "network/linear.md#the-weight-gradient":
        "The result is the transpose of the right one.",
        "A gradient has the shape of its variable: rows of the gradient belong \
         to rows of the variable.",
        "equals the transposed numeric gradient; square shapes hide it from \
         shape checks";
    WRONG_SHAPE "network/linear.md#the-bias-gradient":
        "The result does not have the shape that is asked for.",
        "A gradient has the shape of its variable: what was broadcast in the \
         forward is summed in the backward, and nothing else is.",
        "another shape than the variable";
    SHAPES_DO_NOT_FIT "network/linear.md#shapes-are-a-hint-not-a-proof":
        "Two arrays meet whose dimensions do not fit.",
        "Write the shapes under each factor: the dimension between two factors \
         is the one that is summed away, and it must be the same on both sides.",
        "a panic of the matrix product or of a broadcast";
    OUTPUTS_REORDERED "calculus/chain_rule.md#flat-code":
        "The values are right, but each stands where another one belongs.",
        "The order in which gradients are found is not the order of the inputs; \
         return each where the task asks for it.",
        "every output equals the right value of another one";
    WRONG_BUG "calculus/chain_rule.md#what-goes-wrong":
        "The bug has another name.",
        "Read the failing report again: which factor or pattern turns what is \
         expected into what was got?",
        "a name that the planted bug does not have";
    BATCH_MEAN_TWICE "network/linear.md#the-bias-gradient":
        "The gradient is divided by the batch size once too often.",
        "The mean over the batch is taken once, in the loss, and its gradient \
         has one 1/B; every step below only sums.",
        "a constant ratio of 1/B";
    BIAS_MEAN_NOT_SUM "network/linear.md#the-bias-gradient":
        "The bias gradient is the mean over the batch, not the sum.",
        "The bias was added to every row; what is copied in the forward is \
         summed in the backward.",
        "a constant ratio of 1/B, on the bias only";
    BATCH_MEAN_MISSING "network/softmax_cross_entropy.md#cross-entropy":
        "The mean over the batch is missing: the sum over the examples is \
         returned.",
        "The loss divides by B once, and so does its gradient; the value and \
         the gradient must use the same reduction.",
        "a constant ratio of B; duplicating the batch doubles the gradient";
    BIAS_FORGOTTEN "network/linear.md#one-layer-one-batch":
        "The bias is not added.",
        "The layer is affine: a product, and then a shift.",
        "y - b on every row";
    BIAS_VIA_WEIGHTS "network/linear.md#the-bias-gradient":
        "The bias gradient depends on the input.",
        "The bias is added after the product: its local derivative is 1, \
         whatever x is.",
        "changes when x changes";
    GRAD_OVERWRITTEN "network/linear.md#the-weight-gradient":
        "A loop assigns where it should add, so only the last contribution is \
         left.",
        "Where several paths reach one variable, their gradients add: += in \
         the loop, starting from zero.",
        "only the last example's outer product";
    ONE_EXAMPLE_ONLY "network/linear.md#the-weight-gradient":
        "Only the first example of the batch contributes.",
        "The same weight served every example, so every example adds its \
         share.",
        "the first example's outer product; right for a batch of 1";
    VALUE_AS_GRADIENT "network/mlp.md#an-inactive-unit":
        "A variable whose value is 0 is thought to have the gradient 0.",
        "A gradient says what happens when the variable moves away from its \
         value; the value itself is not a factor of it.",
        "a prediction of zero for a bias or an input that is 0";
    SUM_AS_N_MINUS_1 "network/softmax_cross_entropy.md#what-it-costs":
        "A sum of n numbers is counted as n - 1 operations.",
        "It has n - 1 plus signs, that is true; the task counts n, so that \
         every sum costs what it is long.",
        "one too few for every sum";
    BATCH_NOT_COUNTED "network/mlp.md#what-is-kept":
        "Only one example is counted, in the whole count or in one of its \
         terms.",
        "Every example of the batch is computed and kept by itself; only \
         parameters are not.",
        "too small by a factor of B";
    RESHAPED_NOT_TRANSPOSED "network/linear.md#shapes-are-a-hint-not-a-proof":
        "A factor is reshaped where it has to be transposed.",
        "Reshaping keeps the order of the numbers and cuts the rows anew; \
         transposing moves entry (i, j) to (j, i).",
        "the shapes fit everywhere, the numbers are in other places";
}
