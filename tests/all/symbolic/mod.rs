//! Formulas and their derivatives.

mod formulas;
