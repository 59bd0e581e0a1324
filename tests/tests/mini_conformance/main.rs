//! The mini cluster answers as real servers do: the same commands go to both, redirects, migrations, transactions and
//! subscriptions included, and every reply is compared after addresses and ids are renamed.

mod normal;
mod pair;
mod random;
mod scripts;
mod side;
mod transcripts;
