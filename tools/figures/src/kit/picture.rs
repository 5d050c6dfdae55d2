//! A picture: a list of SVG elements with a size.

/// A drawing without its frame: elements in units of `viewBox`.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    width: f64,
    height: f64,
    body: String,
}

impl Picture {
    /// An empty picture, `width` by `height` units. Pages show 720 units in
    /// the width of the text.
    pub fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    /// The `<svg>` element to put into a page. `id` is unique in the book;
    /// `title` and `description` are what a screen reader says.
    pub fn inline(&self, id: &str, title: &str, description: &str) -> String {
        format!(
            "<svg class=\"plot\" viewBox=\"0 0 {} {}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-desc\">\n\
             <title id=\"{id}-title\">{title}</title>\n\
             <desc id=\"{id}-desc\">{description}</desc>\n{}</svg>",
            self.width, self.height, self.body
        )
    }
}
