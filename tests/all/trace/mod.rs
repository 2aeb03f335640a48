//! What a recording shows.

mod table;
