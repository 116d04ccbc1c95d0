//! The list of a suite's mutants: what each gets wrong, and which guarantee kills it.

/// Writes the enum, the list of all, and who kills each.
macro_rules! mutants {
    ($($(#[doc = $doc:literal])+ $name:ident => $killer:ident,)+) => {
        /// One way to be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Mutant {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Mutant] = &[$(Mutant::$name,)+];

            /// The guarantee that must fail for it; others may fail too.
            #[must_use]
            pub const fn killer(self) -> &'static str {
                match self {
                    $(Mutant::$name => stringify!($killer),)+
                }
            }
        }
    };
}
pub(crate) use mutants;
