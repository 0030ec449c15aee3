//! The CRI messages the gate reads or sends: only the fields it needs, each with its number and the cri-api release
//! that brought it.
