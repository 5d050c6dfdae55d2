//! What the chapters show: demos, outputs, figures.
